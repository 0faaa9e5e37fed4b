// The ear: every block a remote track gave, with the instant at which it was pulled, sent on a second at a time so that
// a long call does not grow the page.
//
// AudioData.timestamp counts microseconds from the time origin of the document (Chromium 150), or of the context that
// reads it (156: this worker, but for blocks that were queued before the stream came here). Which one it was each block
// tells: it was pulled just before it is read, and the document is older than the worker by more than that.
const BLOCKS = 100;

const text = (bytes) => {
	if (bytes.toBase64) return bytes.toBase64();
	let out = '';
	for (let i = 0; i < bytes.length; i += 8192) out += String.fromCharCode(...bytes.subarray(i, i + 8192));
	return btoa(out);
};

let stamps = [];
let sizes = [];
let behind = []; // how long after its stamp each block was read, ms
let pieces = [];
let rate = 0;

function send() {
	if (!stamps.length) return;
	const whole = new Int16Array(sizes.reduce((sum, each) => sum + each, 0));
	let at = 0;
	for (const each of pieces) {
		whole.set(each, at);
		at += each.length;
	}
	postMessage({ origin: performance.timeOrigin, stamps, sizes, behind, rate, pcm: text(new Uint8Array(whole.buffer)) });
	stamps = [];
	sizes = [];
	behind = [];
	pieces = [];
}

onmessage = async ({ data }) => {
	if (data.flush) {
		send();
		postMessage({ flushed: true });
		return;
	}
	const reader = data.readable.getReader();
	const older = performance.timeOrigin - data.origin;
	for (;;) {
		const { value, done } = await reader.read();
		if (done) break;
		const now = performance.now();
		let stamp = value.timestamp / 1000;
		if (Math.abs(now - (stamp - older)) < Math.abs(now - stamp)) stamp -= older;
		const count = value.numberOfFrames;
		const sum = new Float32Array(count);
		const plane = new Float32Array(count);
		for (let channel = 0; channel < value.numberOfChannels; channel++) {
			value.copyTo(plane, { planeIndex: channel, format: 'f32-planar' });
			for (let i = 0; i < count; i++) sum[i] += plane[i] / value.numberOfChannels;
		}
		const piece = new Int16Array(count);
		for (let i = 0; i < count; i++) piece[i] = Math.max(-32768, Math.min(32767, Math.round(sum[i] * 32768)));
		if (rate && rate !== value.sampleRate) send();
		rate = value.sampleRate;
		stamps.push(stamp * 1000);
		sizes.push(count);
		behind.push(now - stamp);
		pieces.push(piece);
		value.close();
		if (stamps.length >= BLOCKS) send();
	}
	send();
};
