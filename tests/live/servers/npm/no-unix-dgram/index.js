// Janode imports this name for its Unix-socket transport.
exports.createSocket = () => {
	throw new Error('Unix sockets are left out here');
};
