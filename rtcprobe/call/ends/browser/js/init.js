// What every document of a page is given before any script of its own: connections through our TURN server alone, a
// microphone that speaks markers on a grid, and an ear on every remote track. `config` is what Python fills in.
//
// Facts:
//   A Proxy before RTCPeerConnection keeps name, toString, instanceof and statics; a subclass would leave the pristine
//   class reachable by Object.getPrototypeOf (tried: frames, popups, webkit prefix, Reflect.construct, subclasses).
//   Every instant is told as performance.timeOrigin + performance.now(): one clock for documents, frames and workers.
(function (config) {
	const Real = globalThis.RTCPeerConnection;
	if (!Real || globalThis.__rtcprobe) return;
	const now = () => performance.timeOrigin + performance.now();
	const tell = (what, more) => {
		const told = JSON.stringify({ what, at: now(), ...more });
		if (globalThis.__rtcprobe_tell) globalThis.__rtcprobe_tell(told);
	};
	const script = (source) => URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
	const mouths = [];
	const ears = [];
	const connections = [];

	// --- connections -----------------------------------------------------------------------------------------------
	const relayed = (given) => ({
		...(given || {}),
		iceServers: config.iceServers.map((each) => ({ ...each })),
		iceTransportPolicy: 'relay',
	});
	// Documents number their connections apart: frames and popups tell theirs, too.
	let made = Math.floor(Math.random() * 2 ** 40) * 1000;

	function watch(connection) {
		const n = ++made;
		connections.push([n, connection]);
		tell('connection', { n });
		const seen = new Set();
		const transports = () => {
			for (const each of [...connection.getSenders(), ...connection.getReceivers()]) {
				const dtls = each.transport;
				if (!dtls || seen.has(dtls)) continue;
				seen.add(dtls);
				const changed = () => tell('dtls', { n, state: dtls.state });
				dtls.addEventListener('statechange', changed);
				if (dtls.state !== 'new') changed();
			}
		};
		connection.addEventListener('signalingstatechange', transports);
		connection.addEventListener('iceconnectionstatechange', () => {
			transports();
			tell('ice', { n, state: connection.iceConnectionState });
		});
		connection.addEventListener('connectionstatechange', () =>
			tell('state', { n, state: connection.connectionState }),
		);
		connection.addEventListener('track', ({ track }) => {
			if (track.kind === 'video') {
				if (config.looks) look(track, n);
				return;
			}
			track.addEventListener('unmute', () => tell('unmute', { n }), { once: true });
			listen(track, n);
		});
		return n;
	}

	const numbers = new WeakMap();
	const proxy = new Proxy(Real, {
		construct(target, args, asked) {
			const whole = [relayed(args[0]), ...args.slice(1)];
			const connection = Reflect.construct(target, whole, asked === proxy ? target : asked);
			numbers.set(connection, watch(connection));
			return connection;
		},
	});
	Object.defineProperty(Real.prototype, 'constructor', { value: proxy, writable: true, configurable: true });
	globalThis.RTCPeerConnection = proxy;
	if (globalThis.webkitRTCPeerConnection) globalThis.webkitRTCPeerConnection = proxy;
	const wrap = (name, around) => {
		const real = Real.prototype[name];
		Real.prototype[name] = { [name](...args) { return around(this, (...given) => real.apply(this, given), args); } }[name];
	};
	wrap('setConfiguration', (_, real, [given]) => real(relayed(given)));
	wrap('close', (connection, real) => {
		tell('closed', { n: numbers.get(connection) });
		return real();
	});
	for (const name of ['setLocalDescription', 'setRemoteDescription']) {
		wrap(name, (connection, real, args) => {
			const done = real(...args);
			const side = name === 'setLocalDescription' ? 'local' : 'remote';
			done.then(
				() => {
					const set = connection[`${side}Description`];
					if (set) tell(side, { n: numbers.get(connection), type: set.type, sdp: set.sdp });
				},
				() => {},
			);
			return done;
		});
	}

	// --- the mouth ---------------------------------------------------------------------------------------------------
	let speaking = false;

	function newMouth() {
		const m = mouths.length;
		const track = new MediaStreamTrackGenerator({ kind: 'audio' });
		const worker = new Worker(script(config.mouth));
		worker.onmessage = ({ data }) => tell('mouth', { m, ...data });
		worker.onerror = (event) => tell('fault', { message: `the mouth: ${event.message}` });
		worker.postMessage({ writable: track.writable, loop: config.loop, total: config.total }, [track.writable]);
		if (speaking) worker.postMessage({ speak: true });
		globalThis.__rtcprobe_sound().then((text) => {
			if (text) worker.postMessage({ sound: text });
		});
		mouths.push(worker);
		return track;
	}

	const devices = globalThis.MediaDevices && MediaDevices.prototype;
	if (devices && devices.getUserMedia) {
		const real = devices.getUserMedia;
		devices.getUserMedia = async function getUserMedia(constraints) {
			tell('microphone asked', {});
			let stream;
			try {
				stream = await real.call(this, constraints);
			} catch (error) {
				tell('microphone refused', { name: error.name, message: error.message });
				throw error;
			}
			const microphones = stream.getAudioTracks();
			if (microphones.length && config.generates) {
				for (const each of microphones) {
					stream.removeTrack(each);
					each.stop();
				}
				stream.addTrack(newMouth());
			}
			if (config.taps) microphones.forEach(tap);
			const cameras = stream.getVideoTracks();
			if (cameras.length && config.camera) {
				for (const each of cameras) {
					stream.removeTrack(each);
					each.stop();
				}
				stream.addTrack(newCamera());
			}
			if (microphones.length) tell('microphone', {});
			return stream;
		};
	}

	// --- the ear -----------------------------------------------------------------------------------------------------
	function listen(track, n) {
		// Without an element that plays it nothing of a remote track is pulled, and there is nothing to hear.
		const player = new Audio();
		player.srcObject = new MediaStream([track]);
		player.play().catch((error) => tell('fault', { message: `playing: ${error.message}` }));
		read(track, n, '__rtcprobe_heard', { player });
	}

	// What a microphone of the browser's own gives, on the way to wherever the page sends it.
	const tap = (track) => read(track, ++made, '__rtcprobe_tapped', {});

	function read(track, n, taker, kept) {
		const ear = { worker: new Worker(script(config.ear)), flushed: () => {}, ...kept };
		const id = ears.push(ear);
		const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 });
		ear.worker.onmessage = ({ data }) => {
			if (data.flushed) ear.flushed();
			else globalThis[taker](JSON.stringify({ n, id, ...data }));
		};
		ear.worker.postMessage({ readable, origin: performance.timeOrigin }, [readable]);
	}

	// --- camera and eye ----------------------------------------------------------------------------------------------
	const lookers = []; // of cameras and eyes: what is asked for what they have still to tell
	const looker = (worker, more) => {
		const each = { worker, flushed: () => {} };
		lookers.push(each);
		worker.onmessage = ({ data }) => {
			if (data.filmed || data.seen || data.fault) globalThis.__rtcprobe_seen(JSON.stringify({ ...more, ...data }));
			if (data.flushed) each.flushed();
		};
		worker.onerror = (event) => tell('fault', { message: `pictures: ${event.message}` });
	};

	function newCamera() {
		const track = new MediaStreamTrackGenerator({ kind: 'video' });
		const worker = new Worker(script(config.film));
		// Asked anew with every report: a page may ask for a camera that it never sends.
		const sent = () => connections.some(([, each]) => each.getSenders().some((sender) => sender.track === track));
		looker(worker, {
			c: ++made,
			get sent() {
				return sent();
			},
		});
		worker.postMessage({ writable: track.writable, plan: config.camera }, [track.writable]);
		return track;
	}

	let eyes = 0;

	function look(track, n) {
		const id = ++eyes;
		// What is on no screen is not shown: two pixels of it are, whatever the page does with it.
		const screen = document.createElement('video');
		screen.muted = true;
		screen.style.cssText = 'position:fixed;left:0;top:0;width:2px;height:2px;opacity:0.01;pointer-events:none;z-index:-1';
		screen.srcObject = new MediaStream([track]);
		document.documentElement.append(screen);
		screen.play().catch((error) => tell('fault', { message: `showing: ${error.message}` }));
		let shown = [];
		const told = () => {
			if (shown.length) globalThis.__rtcprobe_seen(JSON.stringify({ n, id, shown }));
			shown = [];
		};
		const called = (_, { rtpTimestamp, presentationTime }) => {
			if (rtpTimestamp !== undefined) shown.push({ rtp: rtpTimestamp, at: performance.timeOrigin + presentationTime });
			if (shown.length >= 30) told();
			screen.requestVideoFrameCallback(called);
		};
		screen.requestVideoFrameCallback(called);
		screens.push(told);
		const processor = new MediaStreamTrackProcessor({ track, maxBufferSize: 60 });
		const worker = new Worker(script(config.eye));
		looker(worker, { n, id });
		worker.postMessage({ readable: processor.readable }, [processor.readable]);
	}

	const screens = [];

	const plain = async (connection) => {
		const report = await connection.getStats();
		const all = [];
		report.forEach((each) => all.push(each));
		return all;
	};

	Object.defineProperty(globalThis, '__rtcprobe', {
		enumerable: false,
		value: {
			speak() {
				speaking = true;
				mouths.forEach((worker) => worker.postMessage({ speak: true }));
			},
			// Resolves when what the ears have heard so far is told.
			flush: () => {
				screens.forEach((told) => told());
				return Promise.all(
					[...ears, ...lookers].map(
						(ear) =>
							new Promise((done) => {
								ear.flushed = done;
								ear.worker.postMessage({ flush: true });
							}),
					),
				);
			},
			async figures() {
				const all = [];
				for (const [n, connection] of connections) {
					if (connection.connectionState !== 'connected') continue;
					all.push({ n, stats: await plain(connection) });
				}
				return all;
			},
		},
	});
	tell('document', { origin: performance.timeOrigin, url: location.href, top: globalThis.top === globalThis });
	addEventListener('DOMContentLoaded', () => tell('loaded', { top: globalThis.top === globalThis }), { once: true });
})(/*config*/);
