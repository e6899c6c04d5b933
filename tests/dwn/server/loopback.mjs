// The server has no setting for its host and listens on every interface: keep it on loopback.
// The port that it got goes to the file descriptor STREAMS_READY_FD, so that 0 (any) can be asked.
import fs from 'node:fs';
import net from 'node:net';

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (port, ...rest) {
  const done = rest.filter((one) => typeof one === 'function');
  this.once('listening', () => {
    fs.writeSync(Number(process.env.STREAMS_READY_FD), `${this.address().port}\n`);
  });
  return listen.call(this, { port, host: '127.0.0.1' }, ...done);
};
