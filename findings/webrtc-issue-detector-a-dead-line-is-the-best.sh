#!/usr/bin/env bash
# webrtc-issue-detector 1.17.3 (npm): its mean opinion score is 5, the best there is, of a call that loses 60 % of its packets.
#
# One would take a score for one that falls with loss; its own scale calls 2.1 bad and 4.3 excellent. It takes 2.5 from R for each
# percent lost and puts what is left, below zero from 37 % on, into the cubic of ITU-T G.107 that holds for R from 0 to 100 alone
# (below 0 the Recommendation says 1): beyond 40 % of loss the curve turns and climbs to its own ceiling. And of what one sends,
# 60 lost of 100 count as 38 %: what was lost is added to what was sent, in which it is already.
#
# Seen (webrtc-issue-detector 1.17.3, Node.js 20; round trip 50 ms, jitter 5 ms, 100 packets, so many of them lost):
#     lost  0: receiving 4.37, sending 4.37 of 0 %
#     lost 10: receiving 3.43, sending 3.55 of 9 %
#     lost 40: receiving 1.15, sending 1.22 of 29 %
#     lost 50: receiving 2.76, sending 1.02 of 33 %
#     lost 60: receiving 5.00, sending 1.04 of 38 %
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit webrtc-issue-detector@1.17.3
node - <<'NODE' | tee seen
const { NetworkScoresCalculator } = require("webrtc-issue-detector");

const counts = (lost, received, sent) => ({
  connection: { id: "call", currentRoundTripTime: 0.05, packetsSent: sent, packetsReceived: received },
  audio: { inbound: [{ ssrc: 1, jitter: 0.005, packetsLost: lost }], outbound: [] },
  video: { inbound: [], outbound: [] },
  remote: { audio: { inbound: [{ ssrc: 2, jitter: 0.005, packetsLost: lost }] }, video: { inbound: [] } },
});

for (const lost of [0, 10, 40, 50, 60]) {
  const scores = new NetworkScoresCalculator();
  scores.calculate(counts(0, 0, 0)); // what came before: nothing yet
  scores.calculate(counts(0, 1000, 1000));
  const { inbound, outbound, statsSamples } = scores.calculate(counts(lost, 1100 - lost, 1100));
  const told = statsSamples.outboundStatsSample.packetsLoss;
  console.log(`lost ${String(lost).padStart(2)}: receiving ${inbound.toFixed(2)}, sending ${outbound.toFixed(2)} of ${told} %`);
}
process.exit(0); // its timers would hold the process for half a minute
NODE
diff seen - <<'SEEN'
lost  0: receiving 4.37, sending 4.37 of 0 %
lost 10: receiving 3.43, sending 3.55 of 9 %
lost 40: receiving 1.15, sending 1.22 of 29 %
lost 50: receiving 2.76, sending 1.02 of 33 %
lost 60: receiving 5.00, sending 1.04 of 38 %
SEEN
