// Written by generate.py from /openapi.json; a change by hand is lost.

export interface BookDelta {
  type: "book_delta";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  bids: [string, string][];
  asks: [string, string][];
  seq: bigint | null;
  prev_seq: bigint | null;
}

export interface BookL2 {
  type: "book_l2";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  bids: [string, string][];
  asks: [string, string][];
  seq: bigint | null;
}

export interface BusAnswer {
  queue_size: number;
  queue_max: number;
  fill_percent: number;
  backpressure: boolean;
  dropped: number;
  consumers: Consumer[];
}

export interface CacheRow {
  key: string;
  exchange: string;
  symbol: string;
  timeframe: string | null;
  refreshed_at: string | null;
  age_s: number | null;
  ttl_s: number;
  fresh: boolean;
  candles: number | null;
  failures: number;
  failing: string;
}

export interface CandleEvent {
  type: "candle";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  timeframe: string;
  open_time: bigint;
  close_time: bigint;
  open: string;
  high: string;
  low: string;
  close: string;
  volume: string;
  closed: boolean;
  revision: number;
  repaired: boolean;
}

export interface Changed {
  symbols: string[];
  added: string[];
  removed: string[];
  unlisted: string[];
}

export interface Component {
  status: "ok" | "degraded" | "unhealthy";
  required: boolean;
  reason: string;
  since: string;
}

export interface Consumer {
  name: string;
  full: string;
  queue_size: number;
  queue_max: number;
  fill_percent: number;
  backpressure: boolean;
  dropped: number;
  spilled: number;
  taken: number;
  drops: Drop[];
}

export interface Drop {
  reason: string;
  type: string;
  count: number;
}

export interface Gap {
  type: "gap";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  channel: "book" | "candle" | "quote" | "trade";
  state: "filled" | "found" | "unrecoverable";
  from_id: string | null;
  to_id: string | null;
  from_ts: bigint | null;
  to_ts: bigint | null;
  cause: string;
}

export interface HealthAnswer {
  status: "ok" | "degraded" | "unhealthy";
  components: Record<string, Component>;
  symbols?: string[];
}

export interface Heartbeat {
  type: "heartbeat";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  reason: string;
}

export interface IngestCounts {
  active_connections: number;
  total_messages: number;
  error_messages: number;
  connection_errors: number;
}

export interface Job {
  id: number;
  status: string;
  started_at: string | null;
  completed_at: string | null;
  candles_fetched: number;
  last_error: string | null;
}

export interface LatestAnswer {
  symbol: string;
  provider: string | null;
  trade: Trade | null;
  quote: Quote | null;
}

export interface PairsAnswer {
  count: number;
  pairs: string[];
}

export interface Quote {
  type: "quote";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  bid: string;
  bid_size: string;
  ask: string;
  ask_size: string;
  seq: bigint | null;
}

export interface Series {
  exchange: string;
  symbol: string;
  timeframe: string;
}

export interface SeriesRow {
  exchange: string;
  symbol: string;
  timeframe: string;
  first: string | null;
  last: string | null;
  count: number;
  gaps: number;
  missing: number;
  unrecoverable: number;
  known_empty: number;
  last_job: Job | null;
  lag_ms: number | null;
  live: boolean;
  reason: string;
}

export interface StatsAnswer {
  publisher?: {
    publish_count: number;
    error_count: number;
    error_rate: number;
  };
  ingest?: IngestCounts;
  pairs_count?: number;
  pairs_sample?: string[];
  events_per_second?: number;
  features?: Record<string, unknown>;
  queue_size?: number;
  queue_fill_ratio?: number;
  drops?: number;
}

export interface Status {
  type: "status";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  state: "connected" | "disconnected" | "refused" | "stale" | "switched";
  reason: string;
}

export interface StatusAnswer {
  profile: string;
  roles: string[];
  uptime_s: number;
  series: SeriesRow[];
  subscriptions: SubscriptionRow[];
  venues: VenueRow[];
  series_error?: string;
  cache?: CacheRow[];
}

export interface SubscriptionRow {
  provider: string;
  symbol: string;
  channel: string;
  timeframe: string | null;
  state: string;
  reason: string;
  last_event: bigint | null;
  lag_ms: number | null;
  gaps: number;
  missing: number;
  book_state: string | null;
}

export interface Symbols {
  symbols: string[];
  provider?: string | null;
}

export interface Trade {
  type: "trade";
  provider: string;
  symbol: string;
  ts_event: bigint | null;
  ts_recv: bigint;
  price: string;
  size: string;
  side: "buy" | "sell" | null;
  trade_id: string;
  repaired: boolean;
  raw?: string;
}

export interface VenueRow {
  name: string;
  state: string;
  reason: string;
  connections: number;
  events_per_s: number;
  lag_ms_p50: number | null;
  lag_ms_p99: number | null;
  dropped: number;
  reconnects: number;
  gaps: number;
}

/** What each operation answers when it is well. */
export interface Answers {
  "GET /analysis": {
    symbol: string;
    provider: string;
    timeframe: string;
    quality: {
      ok: boolean;
      reason: string | null;
      candles: number;
    };
    open_time: bigint | null;
    close_time: bigint | null;
    close: string | null;
    ribbon: {
      periods: number[];
      values: (number | null)[];
      order: "up" | "down" | "mixed" | null;
      order_before: "up" | "down" | "mixed" | null;
      width: number | null;
      crossings: {
        fast: number;
        slow: number;
        direction: string;
      }[];
    } | null;
    squeeze: {
      on: boolean | null;
      candles: number | null;
      candles_before: number | null;
      bollinger: number | null;
      keltner: number | null;
      momentum: number | null;
      momentum_before: number | null;
    } | null;
    stochastic_rsi: {
      rsi: number | null;
      k: number | null;
      d: number | null;
      k_before: number | null;
      d_before: number | null;
    } | null;
    signals: ({
      symbol: string;
      provider: string;
      timeframe: string;
      direction: "long" | "short";
      rule: string;
      reasons: string[];
      price: string;
      open_time: bigint;
      close_time: bigint;
      ts: bigint;
      quality: {
        ok: boolean;
        reason: string | null;
        candles: number;
      };
    })[];
  };
  "GET /analysis/signals": ({
    symbol: string;
    provider: string;
    timeframe: string;
    direction: "long" | "short";
    rule: string;
    reasons: string[];
    price: string;
    open_time: bigint;
    close_time: bigint;
    ts: bigint;
    quality: {
      ok: boolean;
      reason: string | null;
      candles: number;
    };
  })[];
  "GET /api/redis/log": {
    id: string;
    type: string;
    channel: string;
    source: string;
    summary: string;
    payload_size: number;
    timestamp: string;
  }[];
  "GET /bus-stats": BusAnswer;
  "GET /candles": ({
    exchange: string;
    symbol: string;
    timeframe: string;
    open_time: string;
    close_time: string;
    open: number | string;
    high: number | string;
    low: number | string;
    close: number | string;
    volume: number | string;
    closed?: boolean;
    revision?: number;
    source?: string | null;
  })[];
  "GET /candles/latest": ({
    exchange: string;
    symbol: string;
    timeframe: string;
    open_time: string;
    close_time: string;
    open: number | string;
    high: number | string;
    low: number | string;
    close: number | string;
    volume: number | string;
    closed?: boolean;
    revision?: number;
    source?: string | null;
  })[];
  "GET /features/latest": {
    symbol: string;
    provider: string | null;
    ts: bigint | null;
    features: {
      mid: number | null;
      spread_abs: number | null;
      spread_bps: number | null;
      trade_vwap_10s: number | null;
      trade_vwap_60s: number | null;
      trade_count_10s: number | null;
      trade_volume_10s: number | null;
      return_10s: number | null;
      realized_vol_60s: number | null;
      latency_ms_p50: number | null;
      latency_ms_p95: number | null;
    };
    quality: {
      ok: boolean;
      warming_up: boolean;
      covered_s: number;
      gap: boolean;
      line: string;
      switched_from: string | null;
      late: number;
      duplicates: number;
      unusable: number;
      causes: string[];
    };
  };
  "GET /features/signals": ({
    ts: bigint;
    symbol: string;
    kind: "signal" | "latency" | "gap" | "backpressure";
    provider: string | null;
    direction: "long" | "short" | null;
    detail: string;
  })[];
  "GET /gaps": ({
    exchange: string;
    symbol: string;
    timeframe: string;
    gap_start: string;
    gap_end: string;
    detected_at: string | null;
    repaired_at: string | null;
    state: string;
    cause: string | null;
  })[];
  "GET /health": HealthAnswer;
  "GET /latest": LatestAnswer;
  "GET /ledger": ({
    start: string;
    end: string;
    state: "have" | "missing" | "known_empty" | "repairing" | "unrecoverable";
    cause: string;
    since: string;
  })[];
  "GET /lines": ({
    ts: bigint;
    provider: string;
    symbol: string | null;
    state: "connected" | "disconnected" | "stale" | "refused" | "switched";
    reason: string;
  })[];
  "GET /livez": {
    status: string;
  };
  "GET /overview": {
    profile: string;
    roles: string[];
    started: string;
    uptime_s: number;
    health: HealthAnswer;
    parts: {
      stream: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      bus: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      ingest: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      latest: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      trades: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      archive: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      features: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      scanner: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      ta: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      message_log: {
        state: "here" | "away" | "absent";
        reason: string;
      };
      trader: {
        state: "here" | "away" | "absent";
        reason: string;
      };
    };
    venues: VenueRow[];
  };
  "GET /pairs": PairsAnswer;
  "GET /paper": {
    paper: boolean;
    book: string;
    timeframe: string;
    opened: string;
    boundary: string | null;
    start: string;
    equity: string;
    profit: string;
    cash: string;
    positions: string;
    realised: string;
    unrealised: string;
    fees: string;
    open: number;
    orders: number;
    fills: number;
    state: string;
    meaning: Record<string, string>;
  };
  "GET /paper/equity": {
    ts: string;
    equity: string;
    cash: string;
    positions: string;
    realised: string;
    unrealised: string;
    fees: string;
    open: number;
  }[];
  "GET /paper/fills": ({
    paper: boolean;
    seq: bigint;
    ts: string;
    symbol: string;
    provider: string;
    side: "buy" | "sell";
    why: "entry" | "stop" | "take_profit" | "signal";
    order: string;
    price: string;
    size: string;
    fee: string;
    closes: string | null;
    stop: string | null;
    take_profit: string | null;
  })[];
  "GET /paper/orders": ({
    paper: boolean;
    seq: bigint;
    ts: string;
    symbol: string;
    provider: string;
    side: "buy" | "sell";
    why: "entry" | "stop" | "take_profit" | "signal";
    id: string;
    refusal: "stale" | "doubtful" | "contradicting" | "no_price" | "other_venue" | "holding" | "no_short" | "cooldown" | "positions_max" | "cash" | null;
    detail: string;
  })[];
  "GET /paper/positions": ({
    paper: boolean;
    symbol: string;
    provider: string;
    side: "long" | "short";
    size: string;
    price: string;
    mark: string;
    unrealised: string;
    fee: string;
    stop: string | null;
    take_profit: string | null;
    opened: string;
    order: string;
  })[];
  "GET /readyz": HealthAnswer;
  "GET /scanner": {
    timeframe: string;
    timestamp: string | null;
    coins: ({
      rank: number | null;
      symbol: string;
      price: string | null;
      price_time: string | null;
      scan: {
        symbol: string;
        provider: string;
        timeframe: string;
        quality: {
          ok: boolean;
          reason: string | null;
          candles: number;
        };
        open_time: bigint | null;
        close_time: bigint | null;
        close: string | null;
        rsi: number | null;
        vwap_day: number | null;
        vwap_rolling: number | null;
        vwap_distance: number | null;
        bollinger: {
          upper: number | null;
          middle: number | null;
          lower: number | null;
          percent_b: number | null;
          bandwidth: number | null;
        };
        score: number | null;
        parts: {
          rsi: number | null;
          bollinger: number | null;
          vwap: number | null;
        };
      };
    })[];
  };
  "GET /state/latest": LatestAnswer;
  "GET /stats": StatsAnswer;
  "GET /status": StatusAnswer;
  "GET /symbols": Record<string, string[]>;
  "GET /trades": Trade[];
  "PUT /subscriptions": Changed;
}

/** The parameters of each operation. */
export interface Queries {
  "GET /analysis": {
    symbol: string;
    timeframe: string;
  };
  "GET /analysis/signals": {
    symbol?: string;
    timeframe?: string;
    limit?: number;
  };
  "GET /api/redis/log": {
    type?: "publish" | "cache_write" | "cache_read" | "signal" | "trade" | "error";
    source?: "market-data" | "ta-service" | "dashboard" | "trader-bot";
    channel?: string;
    since?: string;
    limit?: number;
    cursor?: string;
  };
  "GET /bus-stats": Record<string, never>;
  "GET /candles": {
    symbol: string;
    timeframe?: string;
    tf?: string;
    format?: "json" | "csv" | "arrow";
    numbers?: "string";
    include?: string;
    exchange: string;
    start?: string;
    end?: string;
    limit?: number;
    cursor?: string;
  };
  "GET /candles/latest": {
    symbol: string;
    timeframe?: string;
    tf?: string;
    format?: "json" | "csv" | "arrow";
    numbers?: "string";
    include?: string;
    exchange?: string;
    limit?: number;
  };
  "GET /features/latest": {
    symbol: string;
    provider?: string;
  };
  "GET /features/signals": {
    symbol?: string;
    limit?: number;
  };
  "GET /gaps": {
    exchange?: string;
    symbol?: string;
    timeframe?: string;
    tf?: string;
    state?: "have" | "missing" | "known_empty" | "repairing" | "unrecoverable";
    open?: boolean;
    start?: string;
    end?: string;
  };
  "GET /health": Record<string, never>;
  "GET /latest": {
    symbol: string;
    provider?: string;
  };
  "GET /ledger": {
    exchange: string;
    symbol: string;
    timeframe: string;
    start?: string;
    end?: string;
  };
  "GET /lines": {
    provider?: string;
    symbols?: boolean;
    before?: string;
    limit?: number;
  };
  "GET /livez": Record<string, never>;
  "GET /overview": Record<string, never>;
  "GET /pairs": Record<string, never>;
  "GET /paper": Record<string, never>;
  "GET /paper/equity": {
    start?: string;
    end?: string;
    limit?: number;
  };
  "GET /paper/fills": {
    limit?: number;
    cursor?: number;
  };
  "GET /paper/orders": {
    limit?: number;
    cursor?: number;
  };
  "GET /paper/positions": Record<string, never>;
  "GET /readyz": Record<string, never>;
  "GET /scanner": {
    limit?: number;
    symbol?: string;
    sort?: "rank" | "-rank" | "symbol" | "-symbol" | "score" | "-score" | "rsi" | "-rsi" | "vwap_distance" | "-vwap_distance" | "percent_b" | "-percent_b" | "bandwidth" | "-bandwidth";
    format?: "json" | "csv";
  };
  "GET /state/latest": {
    symbol: string;
    provider?: string;
  };
  "GET /stats": Record<string, never>;
  "GET /status": Record<string, never>;
  "GET /symbols": {
    exchange?: string;
  };
  "GET /trades": {
    symbol: string;
    start?: string;
    end?: string;
    limit?: number;
    cursor?: string;
    provider?: string;
  };
  "PUT /subscriptions": Record<string, never>;
}

/** Integers that a double does not hold exactly, wherever they stand: read as bigint. */
export const WIDE: ReadonlySet<string> = new Set([
  "close_time",
  "from_ts",
  "last_event",
  "open_time",
  "prev_seq",
  "seq",
  "to_ts",
  "ts",
  "ts_event",
  "ts_recv",
]);
