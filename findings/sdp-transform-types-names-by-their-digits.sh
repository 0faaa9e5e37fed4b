#!/usr/bin/env bash
# sdp-transform 3.0.0 (npm) gives a value the type that its digits happen to have.
#
# One would expect a name to be a string. sdp-transform turns whatever reads back the same as a number into one: an ICE
# user name fragment of digits alone (RFC 8839 allows it), a mid, a msid, the list of payload types when it has one entry. An
# H.264 profile-level-id is hexadecimal: 42e01f stays a string, and 640028, High at level 4.0, becomes six hundred and forty
# thousand and twenty-eight. What was written for the usual value works until a peer draws another.
#
# Seen (Node.js 20, sdp-transform 3.0.0):
#     iceUfrag: a1b2 string, 1234 number
#     mid: audio string, 0 number
#     payloads: 111 0 string, 111 number
#     profile-level-id: 42e01f string, 640028 number
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit sdp-transform@3.0.0 >/dev/null)
(cd "$folder" && node -) <<'JAVASCRIPT' | tee "$folder/seen"
const { parse, parseParams } = require("sdp-transform");

const described = (ufrag, mid, payloads) =>
  parse(
    ["v=0", "o=- 1 2 IN IP4 0.0.0.0", "s=-", "t=0 0", `m=audio 9 UDP/TLS/RTP/SAVPF ${payloads}`]
      .concat([`a=mid:${mid}`, `a=ice-ufrag:${ufrag}`, "a=rtpmap:111 opus/48000/2", ""])
      .join("\r\n"),
  ).media[0];
const said = (name, ...values) =>
  console.log(`${name}: ${values.map((value) => `${value} ${typeof value}`).join(", ")}`);

const [one, other] = [described("a1b2", "audio", "111 0"), described("1234", "0", "111")];
for (const name of ["iceUfrag", "mid", "payloads"]) said(name, one[name], other[name]);
said("profile-level-id", ...["42e01f", "640028"].map((id) => parseParams(`profile-level-id=${id}`)["profile-level-id"]));
JAVASCRIPT
diff "$folder/seen" - <<'SEEN'
iceUfrag: a1b2 string, 1234 number
mid: audio string, 0 number
payloads: 111 0 string, 111 number
profile-level-id: 42e01f string, 640028 number
SEEN
