// The camera: a picture with its number in it, handed over at the instant it is filmed, frame after frame, on a grid that
// never moves. Planes are written as they are (I420): no canvas, no colours to be converted on the way.
//
// The scene is what a codec has to work for: a room that sways, noise over it, something that moves before it. The number
// is painted in cells; which of them are light comes ready-made, a word of 32 bits a frame (`picture.marker`).
const REPORT = 30;
const nothing = new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
const LIGHT = 208;
const DARK = 48;
const SWAY = 32;

const bytes = (text) =>
	Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (each) => each.charCodeAt(0));

// Lets messages in: they come between two turns of the loop, never while it waits.
const channel = new MessageChannel();
let turn = () => {};
channel.port1.onmessage = () => turn();
const messages = () => new Promise((done) => ((turn = done), channel.port2.postMessage(0)));

let at = []; // [number, when it was filmed]

onmessage = ({ data }) => {
	if (data.writable) film(data.writable.getWriter(), data.plan);
	if (data.flush) {
		postMessage({ filmed: at, flushed: true });
		at = [];
	}
};

// A room: smooth shades of several sizes, and grain.
function room(width, height) {
	const out = new Uint8Array(width * height);
	let seed = 12345;
	for (let y = 0; y < height; y++) {
		for (let x = 0; x < width; x++) {
			seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
			const shade = 30 * Math.sin(x / 61) * Math.cos(y / 43) + 14 * Math.sin(x / 17 + y / 23) + 6 * Math.sin(x / 5);
			out[y * width + x] = 110 + shade + ((seed >>> 24) % 9) - 4;
		}
	}
	return out;
}

async function film(writer, plan) {
	const { width, height, fps, rows, columns } = plan;
	const words = new Uint32Array(bytes(plan.words).buffer);
	const wide = width + SWAY;
	const scene = room(wide, height + SWAY);
	const picture = new Uint8Array((width * height * 3) / 2).fill(128);
	let gone = false;
	writer.closed.then(() => (gone = true), () => (gone = true));
	const begun = performance.now();
	for (let k = 0; !gone; k++) {
		// A camera that was held up leaves frames out; it does not show two at once.
		k = Math.max(k, Math.floor(((performance.now() - begun) * fps) / 1000));
		const left = Math.round((SWAY / 2) * (1 + Math.sin(k * 0.05)));
		const top = Math.round((SWAY / 2) * (1 + Math.sin(k * 0.037)));
		for (let y = 0; y < height; y++) {
			const from = (y + top) * wide + left;
			picture.set(scene.subarray(from, from + width), y * width);
		}
		const across = Math.round(width * (0.5 + 0.06 * Math.sin(k * 0.13)));
		const radius = Math.round(height * 0.2);
		for (let y = Math.round(height * 0.6) - radius; y < Math.round(height * 0.6) + radius; y++)
			picture.fill(150 + ((y + k) % 16), y * width + across - radius, y * width + across + radius);
		const word = words[k % words.length];
		for (let cell = 0; cell < 32; cell++) {
			const shade = (word >>> (31 - cell)) & 1 ? LIGHT : DARK;
			const row = cell >> 3;
			const column = cell & 7;
			for (let y = rows[row]; y < rows[row + 1]; y++)
				picture.fill(shade, y * width + columns[column], y * width + columns[column + 1]);
		}
		const due = begun + (k * 1000) / fps;
		for (let early = due - performance.now(); early > 0; early = due - performance.now()) Atomics.wait(nothing, 0, 0, early);
		const now = performance.now();
		// The encoder's clock follows what a frame says of its time: the very instant, late or not.
		const shape = { format: 'I420', codedWidth: width, codedHeight: height, timestamp: Math.round(now * 1000) };
		const filmed = new VideoFrame(picture, shape);
		at.push([k, performance.timeOrigin + now]);
		writer.write(filmed).catch(() => (gone = true));
		if (at.length === REPORT) {
			postMessage({ filmed: at });
			at = [];
		}
		await messages();
	}
}
