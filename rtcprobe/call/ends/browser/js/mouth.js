// The mouth: 10 ms of sound handed over at the instant its last sample is spoken, block after block, on a grid that
// never moves. A worker may block in Atomics.wait, which ends within 0.1 ms; timers are aligned to 4 ms by Chromium.
// Shared memory to wait on comes from WebAssembly: a page that is not cross-origin isolated has none by name.
const BLOCK = 480;
const BLOCK_MS = 10;
const REPORT = 50;
const nothing = new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);

const bytes = (text) =>
	Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (each) => each.charCodeAt(0));

let sound = null; // Int16Array
let speaking = false;
let shape = null; // { loop, total }: the sample it goes on from after the last; how many are spoken, -1: without end

// Lets messages in: they come between two turns of the loop, never while it waits.
const channel = new MessageChannel();
let turn = () => {};
channel.port1.onmessage = () => turn();
const messages = () => new Promise((done) => ((turn = done), channel.port2.postMessage(0)));

onmessage = ({ data }) => {
	if (data.sound) sound = new Int16Array(bytes(data.sound).buffer);
	if (data.speak) speaking = true;
	if (data.writable) {
		shape = data;
		run(data.writable.getWriter());
	}
};

async function run(writer) {
	let gone = false;
	writer.closed.then(() => (gone = true), () => (gone = true));
	const begun = performance.now();
	let place = -1; // the sample spoken next; -1: silent so far
	let left = shape.total;
	let late = [];
	for (let k = 0; !gone; k++) {
		const due = begun + (k + 1) * BLOCK_MS;
		const block = new Float32Array(BLOCK);
		if (place < 0 && speaking && sound) {
			place = 0;
			postMessage({ began: performance.timeOrigin + begun + k * BLOCK_MS });
		}
		if (place >= 0 && left !== 0) {
			for (let i = 0; i < BLOCK && left !== 0; i++, left--) {
				block[i] = sound[place++] / 32768;
				if (place === sound.length) place = shape.loop;
			}
			if (left === 0) postMessage({ ended: performance.timeOrigin + due });
		}
		const piece = new AudioData({
			format: 'f32-planar',
			sampleRate: 48000,
			numberOfFrames: BLOCK,
			numberOfChannels: 1,
			timestamp: Math.round((due - BLOCK_MS) * 1000),
			data: block,
		});
		for (let early = due - performance.now(); early > 0; early = due - performance.now()) Atomics.wait(nothing, 0, 0, early);
		late.push(Math.max(0, performance.now() - due));
		writer.write(piece).catch(() => (gone = true));
		if (late.length === REPORT) {
			postMessage({ from: performance.timeOrigin + begun + (k + 1 - REPORT) * BLOCK_MS, late });
			late = [];
		}
		await messages();
	}
}
