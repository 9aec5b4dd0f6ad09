// What lies between client and daemon, for tests to break.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Between client and daemon, so that a test can break what lies between them. */
export class Line {
  target = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor() {
    this.server = createServer((near) => {
      const far = connect(this.target, "127.0.0.1");
      for (const [one, other] of [[near, far], [far, near]] as const) {
        this.sockets.add(one);
        one.on("error", () => other.destroy());
        one.on("close", () => (this.sockets.delete(one), other.destroy()));
        one.pipe(other);
      }
    });
  }

  async open(): Promise<string> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  cut(): void {
    for (const one of [...this.sockets]) one.destroy();
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
