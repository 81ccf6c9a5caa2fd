#!/usr/bin/env python3
"""Write the seeds of fuzz_enr and fuzz_disc4 from the vectors."""
import json
import pathlib

here = pathlib.Path(__file__).parent
vectors = json.loads((here.parent / "vectors" / "discovery.json").read_text())


def seed(target, name, data):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


for name in ("enr_spec_example", "enr_server"):
    seed("enr", name, bytes.fromhex(vectors[name]["rlp"]))
    seed("enr", name + "_text", vectors[name]["text"].encode())
packets = {f"eip8_{i}": v["packet"] for i, v in enumerate(vectors["eip8_packets"])}
packets |= {name: v["packet"] for name, v in vectors["own_packets"].items() if name != "expiration"}
for name, text in packets.items():
    seed("disc4", name, bytes.fromhex(text))
    seed("disc4", name + "_body", bytes.fromhex(text)[97:])
