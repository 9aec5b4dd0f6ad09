"""NATS subjects as a user listens to them."""

import asyncio
import json
from collections.abc import Sequence

import nats
import pytest

from tests.cli.conftest import Ask, Program, Start
from tests.nats_servers import NatsServer


def publish(server: NatsServer, numbers: Sequence[int], subject: str = "md.events.trade.BTCUSDT", stream: bool = False) -> None:
    async def send() -> None:
        client = await nats.connect(server.url)
        if stream:
            await client.jetstream().add_stream(name="events", subjects=["md.events.>"])
        for number in numbers:
            await (client.jetstream() if stream else client).publish(subject, b'{"n":%d}' % number)
        await client.flush()
        await client.close()

    asyncio.run(send())


def numbers(program: Program) -> list[int]:
    return [json.loads(line)["n"] for line in program.said["out"]]


def follow(start: Start, server: NatsServer, *words: str, subject: str = "md.events.>") -> Program:
    return start("tail", f"nats:{subject}", *words, environ={"NATS_URL": server.url})


def until_heard(server: NatsServer, *programs: Program) -> int:
    """Publish until each has something: only then do they listen. The last number."""
    number = 0
    while not all(program.said["out"] for program in programs):
        assert all(program.process.poll() is None for program in programs), [program.said for program in programs]
        number += 1
        publish(server, [number])
    return number


def test_what_is_published_is_shown_until_ctrl_c(start: Start, plain_nats_server: NatsServer) -> None:
    program = follow(start, plain_nats_server)
    last = until_heard(plain_nats_server, program)
    publish(plain_nats_server, range(last + 1, last + 5001))
    program.wait_for(f'{{"n":{last + 5000}}}')

    assert 0 == program.end()
    heard = numbers(program)
    assert list(range(heard[0], last + 5001)) == heard
    assert [] == program.said["err"]


def test_with_a_count_it_ends_after_so_many(start: Start, plain_nats_server: NatsServer) -> None:
    program = follow(start, plain_nats_server, "--count", "3")
    number = 0
    while program.process.poll() is None:
        number += 1
        publish(plain_nats_server, [number])

    assert 0 == program.wait()
    heard = numbers(program)
    assert list(range(heard[0], heard[0] + 3)) == heard


def test_of_a_stream_the_last_are_shown_at_once(ask: Ask, nats_server: NatsServer) -> None:
    publish(nats_server, range(1, 31), stream=True)
    publish(nats_server, [99], "md.events.quote.BTCUSDT", stream=True)
    environ = {"NATS_URL": nats_server.url}
    said = ask("tail", "nats:md.events.trade.*", "--count", "3", environ=environ)
    more = ask("tail", "nats:md.events.>", "--count", "100", environ=environ)

    assert (0, '{"n":28}\n{"n":29}\n{"n":30}\n', "") == (said.code, said.out, said.err)
    assert 31 == len(more.out.splitlines())


def test_members_of_a_group_share_what_comes(start: Start, plain_nats_server: NatsServer) -> None:
    programs = [follow(start, plain_nats_server, "--group", "mine") for _ in range(2)]
    last = until_heard(plain_nats_server, *programs)
    before = sum(len(program.said["out"]) for program in programs)
    publish(plain_nats_server, range(last + 1, last + 201))
    while sum(len(program.said["out"]) for program in programs) < before + 200:
        assert all(program.process.poll() is None for program in programs)

    assert [0, 0] == [program.end() for program in programs]
    heard = sorted(number for program in programs for number in numbers(program))
    assert list(range(heard[0], last + 201)) == heard


def test_following_outlives_a_restart_of_the_server_and_says_so(start: Start, plain_nats_server: NatsServer) -> None:
    program = follow(start, plain_nats_server)
    until_heard(plain_nats_server, program)
    plain_nats_server.kill()
    program.wait_for("the connection ended; what is said until it is back is not heard")
    program.said["out"].clear()
    plain_nats_server.start()
    until_heard(plain_nats_server, program)

    assert 0 == program.end()
    assert [f"nats at {plain_nats_server.url} answers again"] == program.said["err"][1:]


@pytest.mark.parametrize("allowed", ["other.>"])
def test_a_subject_that_the_server_forbids_is_one_line(start: Start, allowed: str) -> None:
    config = f'authorization {{users: [{{user: u, password: hunter2, permissions: {{subscribe: "{allowed}"}}}}]}}'
    with NatsServer(config, jetstream=False) as server:
        url = server.url.replace("nats://", "nats://u:hunter2@")
        program = start("tail", "nats:md.events.>", environ={"NATS_URL": url})

        assert 1 == program.wait()
    (line,) = program.said["err"]
    assert line.startswith("marketd: nats md.events.>: ")
    assert "ermissions" in line
    assert "hunter2" not in line
