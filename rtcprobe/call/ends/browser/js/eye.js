// The eye: of every picture a remote track gave, when it came out of the decoder, which frame its RTP time says it is, and
// how bright the cells of the number in it are. What they say is read elsewhere (`picture.marker`).
const FRAMES = 30;
let seen = [];

function send() {
	if (seen.length) postMessage({ seen });
	seen = [];
}

// The points at which the cells are looked at, as shares of the picture: four by four of each one's inner half.
const INNER = [0, 1, 2, 3].map((each) => 0.25 + (0.5 * (each + 0.5)) / 4);

async function cells(frame) {
	const { width, height } = frame.visibleRect;
	const rect = {
		x: frame.visibleRect.x,
		y: frame.visibleRect.y,
		width: 2 * Math.ceil((width * 10) / 40),
		height: 2 * Math.ceil((height * 6) / 30),
	};
	const planes = new Uint8Array(frame.allocationSize({ rect }));
	const [{ offset, stride }] = await frame.copyTo(planes, { rect });
	const out = [];
	for (let cell = 0; cell < 32; cell++) {
		let sum = 0;
		for (const down of INNER) {
			const y = Math.floor((height / 15) * (1 + (cell >> 3) + down));
			for (const right of INNER) sum += planes[offset + y * stride + Math.floor((width / 20) * (1 + (cell & 7) + right))];
		}
		out.push(Math.round(sum / 16));
	}
	return out;
}

onmessage = async ({ data }) => {
	if (data.flush) {
		send();
		postMessage({ flushed: true });
		return;
	}
	const reader = data.readable.getReader();
	let first = true;
	for (;;) {
		const { value, done } = await reader.read();
		if (done) break;
		const at = performance.timeOrigin + performance.now();
		const { rtpTimestamp } = value.metadata ? value.metadata() : {};
		const size = [value.visibleRect.width, value.visibleRect.height];
		const format = value.format;
		let found = null;
		try {
			found = await cells(value);
		} catch (error) {
			postMessage({ fault: `${format}: ${error.message}` });
		}
		value.close();
		seen.push({ at, rtp: rtpTimestamp, size, cells: found });
		if (first || seen.length >= FRAMES) send();
		first = false;
	}
	send();
};
