// A WHEP server over Janus whose endpoints are made by `POST /create`, as the WHIP server's are.
//
// An endpoint of a VideoRoom follows whoever publishes there when a viewer comes, under the name `publisher` where it has
// one: publishers get a new id each time.
// Read from standard input (`node --input-type=module -`), so that packages are found from the working folder.
import express from 'express';
import Janode from 'janode';
import VideoRoomPlugin from 'janode/plugins/videoroom';
import { JanusWhepServer } from 'janus-whep-server';

const { JANUS_WS: address, WHEP_PORT: port, WHEP_ADDRESS: host } = process.env;
const rooms = new Map();
const app = express();

const connection = await Janode.connect({ is_admin: false, address: { url: address } });
const session = await connection.create();
const lookout = await session.attach(VideoRoomPlugin);

app.post('/create', express.json(), (request, response) => {
	const { id, room, publisher, pin, mountpoint, token, iceServers } = request.body;
	const of = room ? { plugin: 'videoroom', room, feed: 1, pin } : { plugin: 'streaming', mountpoint };
	server.createEndpoint({ id, token, iceServers, ...of });
	if (room) rooms.set(id, { room, publisher });
	response.sendStatus(200);
});

app.post('/whep/endpoint/:id', async (request, _response, next) => {
	const { id } = request.params;
	if (rooms.has(id)) {
		const { room, publisher } = rooms.get(id);
		const { participants } = await lookout.listParticipants({ room });
		const publishers = participants.filter((each) => each.publisher && (!publisher || each.display === publisher));
		if (publishers.length > 0) server.getEndpoint({ id }).feed = publishers.at(-1).feed;
	}
	next();
});

const server = new JanusWhepServer({ janus: { address }, rest: { app, basePath: '/whep' } });
await server.start();
app.listen(Number(port), host);
