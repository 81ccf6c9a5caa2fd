#!/usr/bin/env python3
"""Write the seeds of the RLPx and p2p fuzz targets from the vectors."""
import json
import pathlib

here = pathlib.Path(__file__).parent


def vectors(name):
    return json.loads((here.parent / "vectors" / name).read_text())


def seed(target, name, text):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(bytes.fromhex(text))


packets = vectors("rlpx-handshake-eip8.json")["packets"]
for name in ("auth1", "auth2", "auth3"):
    seed("rlpx_auth", name, packets[name]["packet"])
    seed("rlpx_auth", name + "_plain", packets[name]["plaintext"])
for name in ("ack1", "ack2", "ack3"):
    seed("rlpx_ack", name, packets[name]["packet"])
    seed("rlpx_ack", name + "_plain", packets[name]["plaintext"])
for i, frame in enumerate(vectors("rlpx-frames.json")["frames"]):
    seed("rlpx_frame", f"frame{i}", frame["wire"])
messages = vectors("devp2p.json")["messages"]
for name, message in messages.items():
    if name.startswith("hello"):
        seed("hello", name, message["payload"])
for i, form in enumerate(messages["disconnect_forms_seen"]):
    if form["payload"]:
        seed("disconnect", f"form{i}", form["payload"])
for name, text in {"id_hello": "80", "id_16": "10", "id_143": "818f",
                   "id_271": "82010f", "id_wide": "88ffffffffffffffff"}.items():
    seed("disconnect", name, text)
