/** A TCP server that does one thing with each connection. */

import net from "node:net";

/** A listening server; `await using` ends it and its connections. */
export interface RawServer {
  readonly port: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts one on 127.0.0.1. @param onConnection gets the socket, whose errors are heard already */
export async function startRawServer(
  onConnection: (socket: net.Socket) => void,
): Promise<RawServer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
