// The suite cannot show a key. This passes its bytes on as they are, with one more header in each request.
import net from "node:net";

const END = "\r\n\r\n";

/** Listens, and returns the port. */
export function forwarder(to, header) {
  const server = net.createServer((client) => {
    const gateway = net.connect(to, "127.0.0.1");
    let waiting = Buffer.alloc(0);
    let body = 0;
    client.on("data", (data) => {
      waiting = Buffer.concat([waiting, data]);
      for (;;) {
        const part = waiting.subarray(0, body);
        if (part.length > 0) gateway.write(part);
        body -= part.length;
        waiting = waiting.subarray(part.length);
        const end = waiting.indexOf(END);
        if (body > 0 || end < 0) return;
        const head = waiting.subarray(0, end).toString("latin1");
        gateway.write(`${head}\r\n${header}${END}`, "latin1");
        waiting = waiting.subarray(end + END.length);
        body = Number(/^content-length: *(\d+) *$/im.exec(head)?.[1] ?? 0);
      }
    });
    gateway.pipe(client);
    client.on("close", () => gateway.destroy());
    gateway.on("close", () => client.destroy());
    client.on("error", () => {});
    gateway.on("error", () => {});
  });
  return new Promise((listens) => server.listen(0, "127.0.0.1", () => listens(server.address().port)));
}
