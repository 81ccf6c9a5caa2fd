#!/usr/bin/env python3
"""Writes the seeds of fuzz_rpc_answer and fuzz_logs into corpus/."""
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
ASKS = ("receipt block latest safe final tx nonce id syncing code proof "
        "decimals symbol").split()


def address(byte):
    return "0x" + byte * 20


def topic(byte):
    return "0x" + "00" * 12 + byte * 20


def log(token="11", sender="33", to="22", value=5, name=TRANSFER, **more):
    return {"address": address(token), "topics": [name, topic(sender), topic(to)],
            "data": "0x%064x" % value, "removed": False, **more}


def receipt(logs, status="0x1", **more):
    return {"transactionHash": "0x" + "aa" * 32, "status": status, "blockHash": "0x" + "bb" * 32,
            "blockNumber": "0x10", "blockTimestamp": 1767225600, "logs": logs, **more}


def header():
    return {"number": "0x10", "hash": "0x" + "cd" * 32, "parentHash": "0x" + "ce" * 32,
            "timestamp": "0x69", "transactions": ["0x" + "aa" * 32]}


def write(folder, name, data):
    path = os.path.join(HERE, "corpus", folder)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as out:
        out.write(data)


def text(value):
    return json.dumps(value, separators=(",", ":")).encode()


def answer(i, result):
    return {"jsonrpc": "2.0", "id": i, "result": result}


def error(i, code, message):
    return {"jsonrpc": "2.0", "id": i, "error": {"code": code, "message": message}}


def batch(name, asks, body):
    kinds = bytes(ASKS.index(a) for a in asks)
    write("rpc_answer", name, bytes([0x80 | len(asks) - 1 if len(asks) - 1 < 8 else len(asks) - 1]) + kinds + body)


def single(name, ask, body):
    write("rpc_answer", name, bytes([0, ASKS.index(ask)]) + body)


LOGS = {
    "one": receipt([log()]),
    "second": receipt([log(value=1), log(value=2)]),
    "bundle": receipt([log(sender="44"), log(), log(to="44"), log(token="99")]),
    "zero": receipt([log(value=0), log(value=3)]),
    "approval": receipt([log(name=APPROVAL)]),
    "removed": receipt([log() | {"removed": True}]),
    "minted": receipt([log(sender="00")]),
    "numbered": receipt([{"address": address("11"), "topics": [TRANSFER, topic("33"), topic("22"), topic("05")],
                          "data": "0x"}]),
    "failed": receipt([], status="0x0"),
    "waiting": receipt([]) | {"blockHash": None, "blockNumber": None},
    "odd": receipt([{"address": "0x11", "topics": [], "data": "0x"}]),
    "null": None,
}
for seed, value in LOGS.items():
    write("logs", seed, bytes([1 if seed == "second" else 0]) + text(value))

SYMBOL = "0x%064x%064x534e54%058x" % (32, 3, 0)
RESULTS = {
    "receipt": receipt([log()]), "block": header(), "latest": header(), "safe": None, "final": header(),
    "tx": {"hash": "0x" + "aa" * 32, "from": address("33"), "to": None, "nonce": "0x7", "blockHash": None},
    "nonce": "0x8", "id": "0x1", "syncing": False, "code": "0x6000",
    "proof": "0x1626ba7e" + "00" * 28, "decimals": "0x%064x" % 18, "symbol": SYMBOL,
}
for seed, value in RESULTS.items():
    single(seed, seed, text(answer(1, value)))
three = ["id", "final", "receipt"]
batch("batch", three, text([answer(3, RESULTS["receipt"]), answer(1, "0x1"), answer(2, None)]))
batch("batch-twice", three, text([answer(1, "0x1"), answer(1, "0x1"), answer(9, None)]))
batch("batch-refused", three, text(error(None, -32600, "no batches")))
batch("batch-limited", three, text(error(None, -32005, "rate limit")))
batch("batch-errors", three, text([error(1, -32601, "none"), error(2, -39001, "Unknown block"),
                                  error(3, -32000, "transaction indexing is in progress")]))
single("reverted", "proof", text(error(1, 3, "execution reverted")))
single("not-json", "id", b"<html>")
single("deep", "id", b"[" * 40)
