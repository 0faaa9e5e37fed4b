// A page that shows a camera and a microphone to whoever takes its offer, or watches another's; what the browser says of
// its sending is noted ten times a second, in its first three seconds twenty times.
window.rtcprobeCamera = (() => {
	const told = [];
	let peer;
	let connected = 0;

	async function gathered() {
		if (peer.iceGatheringState === 'complete') return;
		await new Promise((done) => {
			peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && done();
		});
	}

	async function note() {
		const all = [...(await peer.getStats()).values()];
		const sent = all.filter((each) => each.type === 'outbound-rtp');
		const video = sent.find((each) => each.kind === 'video') || {};
		const source = all.find((each) => each.type === 'media-source' && each.kind === 'video') || {};
		const pairs = all.filter((each) => each.type === 'candidate-pair');
		const bytes = sent.reduce((sum, each) => sum + each.bytesSent + each.headerBytesSent, 0);
		const estimate = Math.max(0, ...pairs.map((each) => each.availableOutgoingBitrate || 0));
		const at = sent.length ? sent[0].timestamp : performance.timeOrigin + performance.now();
		told.push([at, estimate, bytes, video.frameHeight || 0, source.framesPerSecond || 0]);
	}

	async function keepNoting(begun) {
		await note();
		setTimeout(() => keepNoting(begun), performance.now() - begun < 3000 ? 50 : 100);
	}

	async function offer({ most, hint }) {
		peer = new RTCPeerConnection({ iceServers: [] });
		const wanted = { audio: true, video: { width: 640, height: 480, frameRate: 30 } };
		const stream = await navigator.mediaDevices.getUserMedia(wanted);
		stream.getVideoTracks()[0].contentHint = hint;
		stream.getTracks().forEach((track) => peer.addTrack(track, stream));
		const video = peer.getTransceivers().find((each) => each.sender.track.kind === 'video');
		const { codecs } = RTCRtpSender.getCapabilities('video');
		video.setCodecPreferences(codecs.filter(({ mimeType }) => /\/(VP8|rtx)$/i.test(mimeType)));
		await peer.setLocalDescription();
		if (most) {
			const parameters = video.sender.getParameters();
			parameters.encodings[0].maxBitrate = most;
			await video.sender.setParameters(parameters);
		}
		await gathered();
		return peer.localDescription.sdp;
	}

	async function accept(sdp) {
		peer.onconnectionstatechange = () => {
			if (peer.connectionState !== 'connected' || connected) return;
			connected = performance.timeOrigin + performance.now();
			keepNoting(performance.now());
		};
		await peer.setRemoteDescription({ type: 'answer', sdp });
	}

	async function answer(sdp) {
		peer = new RTCPeerConnection({ iceServers: [] });
		const shown = document.createElement('video');
		shown.autoplay = shown.muted = true;
		peer.ontrack = ({ track }) => {
			if (track.kind === 'video') shown.srcObject = new MediaStream([track]);
		};
		await peer.setRemoteDescription({ type: 'offer', sdp });
		await peer.setLocalDescription();
		await gathered();
		return peer.localDescription.sdp;
	}

	return { offer, accept, answer, told: () => told, connected: () => connected };
})();
