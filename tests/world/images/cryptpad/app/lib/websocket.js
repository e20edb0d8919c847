'use strict';
// RFC 6455 by hand: a handshake, and every message comes back.
const Crypto = require('crypto');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const frame = (opcode, payload) => {
    const length = payload.length;
    const size = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const head = Buffer.alloc(2 + size);
    head[0] = 0x80 | opcode;
    head[1] = size === 0 ? length : size === 2 ? 126 : 127;
    if (size === 2) { head.writeUInt16BE(length, 2); }
    if (size === 8) { head.writeBigUInt64BE(BigInt(length), 2); }
    return Buffer.concat([head, payload]);
};

exports.upgrade = (request, socket) => {
    const key = request.headers['sec-websocket-key'] || '';
    if (!/^[+/0-9A-Za-z]{22}==$/.test(key) || request.headers['sec-websocket-version'] !== '13') {
        return void socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    }
    const accept = Crypto.createHash('sha1').update(key + GUID).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.on('error', () => {});

    let pending = Buffer.alloc(0);
    let message = [];
    let kind = 0;
    socket.on('data', (data) => {
        pending = Buffer.concat([pending, data]);
        for (;;) {
            if (pending.length < 2) { return; }
            const final = pending[0] & 0x80;
            const opcode = pending[0] & 0x0f;
            if (!(pending[1] & 0x80)) { return void socket.end(frame(8, Buffer.from([0x03, 0xea]))); } // unmasked: 1002
            let length = pending[1] & 0x7f;
            let at = 2;
            if (length === 126) {
                if (pending.length < 4) { return; }
                length = pending.readUInt16BE(2);
                at = 4;
            } else if (length === 127) {
                if (pending.length < 10) { return; }
                length = Number(pending.readBigUInt64BE(2));
                at = 10;
            }
            if (pending.length < at + 4 + length) { return; }
            const mask = pending.subarray(at, at + 4);
            const payload = Buffer.from(pending.subarray(at + 4, at + 4 + length)).map((byte, i) => byte ^ mask[i % 4]);
            pending = pending.subarray(at + 4 + length);
            if (opcode === 8) { return void socket.end(frame(8, payload)); }
            if (opcode === 9) { socket.write(frame(10, payload)); continue; }
            if (opcode === 10) { continue; }
            kind = opcode || kind;
            message.push(payload);
            if (final) {
                socket.write(frame(kind, Buffer.concat(message)));
                message = [];
            }
        }
    });
};
