'use strict';
// A small server with CryptPad's outside: addresses, headers, files on the disk. Under /contract/ lies what in the real
// one goes through its websocket, encrypted and signed by the browser (see tests/world/images/README.md).
const Crypto = require('crypto');
const Fs = require('fs');
const Http = require('http');
const Path = require('path');
const Decrees = require('./lib/decrees');
const headers = require('./lib/headers');
const Websocket = require('./lib/websocket');
const Env = require('./lib/env').create(require('./lib/load-config'));

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.txt': 'text/plain' };
const KEY = /^[A-Za-z0-9+_-]{43}=$/; // a public key as a file's name: / becomes -
const CHANNEL = /^[0-9a-f]{32}$/;
const BLOB = /^[0-9a-f]{48}$/;

const define = (values) => `define(function(){;\nreturn ${JSON.stringify(values, null, '\t')};\n});`;

// In the real one's order: what its owner put into customize/ goes before what came with it.
const files = (path) => [
    ['./customize/www', path],
    ['./www', path],
    ...(path.startsWith('/blob/') ? [[Env.paths.blob, path.slice(5)]] : []),
    ...(path.startsWith('/block/') ? [[Env.paths.block, path.slice(6)]] : []),
    ...(path.startsWith('/customize/') ? [['./customize', path.slice(10)], ['./customize.dist', path.slice(10)]] : []),
    ...(/^\/[^/]*$/.test(path) ? [['./customize', path], ['./customize.dist', path]] : []),
].map(([root, inside]) => Path.join(Path.resolve(root), inside.endsWith('/') ? inside + 'index.html' : inside));

const isFile = (path) => { try { return Fs.statSync(path).isFile(); } catch (error) { return false; } };

// folder/ab/abcd...: how every store lays out its files.
const stored = (folder, id, end = '') => Path.join(folder, id.slice(0, 2), id + end);
const put = (path, write) => {
    Fs.mkdirSync(Path.dirname(path), { recursive: true });
    write(path);
};
// Between two mounts, where a plain rename fails.
const move = (from, to) => {
    put(to, () => Fs.copyFileSync(from, to));
    Fs.unlinkSync(from);
};

const contract = {
    // A log-in block: refused to a new account while registration is closed.
    'PUT block': (id, body) => {
        if (!KEY.test(id)) { return [400, { error: 'INVALID_KEY' }]; }
        const path = stored(Env.paths.block, id);
        if (Env.restrictRegistration && !isFile(path)) { return [403, { error: 'E_RESTRICTED' }]; }
        put(path, () => Fs.writeFileSync(path, body));
        return [201, {}];
    },
    // ADD_FIRST_ADMIN of the installation page.
    'POST admin': (id, body) => {
        const { token } = JSON.parse(body);
        if (Env.admins.length || !Env.installToken || token !== Env.installToken) { return [403, { error: 'FORBIDDEN' }]; }
        Decrees.decree(Env, 'ADD_ADMIN_KEY', [id], '');
        return [201, {}];
    },
    // ADMIN_DECREE of the administration page.
    'POST decree': (id, body) => {
        if (!Env.admins.includes(id)) { return [403, { error: 'FORBIDDEN' }]; }
        const [command, args] = JSON.parse(body);
        Decrees.decree(Env, command, args, id);
        return [201, {}];
    },
    'POST channel': (id, body) => {
        if (!CHANNEL.test(id)) { return [400, { error: 'INVALID_ID' }]; }
        put(stored(Env.paths.data, id, '.ndjson'), (path) => Fs.appendFileSync(path, body + '\n'));
        return [201, {}];
    },
    'GET channel': (id) => {
        const path = stored(Env.paths.data, id, '.ndjson');
        return CHANNEL.test(id) && isFile(path) ? [200, Fs.readFileSync(path)] : [404, { error: 'ENOENT' }];
    },
    // Deleted by its owner: into the archive.
    'DELETE channel': (id) => {
        const path = stored(Env.paths.data, id, '.ndjson');
        if (!CHANNEL.test(id) || !isFile(path)) { return [404, { error: 'ENOENT' }]; }
        move(path, stored(Path.join(Env.paths.archive, 'datastore'), id, '.ndjson'));
        return [200, {}];
    },
    'PUT blob': (id, body) => {
        if (!BLOB.test(id)) { return [400, { error: 'INVALID_ID' }]; }
        if (body.length > Env.maxUploadSize) { return [413, { error: 'TOO_LARGE' }]; }
        put(stored(Env.paths.staging, id), (path) => Fs.writeFileSync(path, body));
        move(stored(Env.paths.staging, id), stored(Env.paths.blob, id));
        return [201, {}];
    },
    'POST pin': (id, body) => {
        if (!KEY.test(id)) { return [400, { error: 'INVALID_KEY' }]; }
        const line = JSON.stringify(['PIN', JSON.parse(body), Date.now()]);
        put(stored(Env.paths.pin, id, '.ndjson'), (path) => Fs.appendFileSync(path, line + '\n'));
        return [201, {}];
    },
};

const answer = (request, response, status, type, body) => {
    response.writeHead(status, { ...headers(Env, request.url), 'Content-Type': type });
    response.end(request.method === 'HEAD' ? undefined : body);
};

const handle = (request, response, body) => {
    const path = decodeURIComponent(request.url.split('?')[0]);
    if (path.split('/').includes('..')) { return answer(request, response, 400, 'text/plain', ''); }
    const [, room, what, id] = path.split('/');
    if (room === 'contract') {
        const does = contract[`${request.method} ${what}`];
        const [status, found] = does ? does(id || '', body) : [404, { error: 'UNKNOWN' }];
        const raw = Buffer.isBuffer(found);
        return answer(request, response, status, raw ? 'application/octet-stream' : 'application/json', raw ? found : JSON.stringify(found));
    }
    if (path === '/api/config') {
        return answer(request, response, 200, 'text/javascript', define({
            requireConf: { waitSeconds: 600, urlArgs: `ver=${Env.version}-${Env.freshKey}` },
            httpUnsafeOrigin: Env.httpUnsafeOrigin,
            adminKeys: Env.admins,
            inactiveTime: Env.inactiveTime,
            defaultStorageLimit: Env.defaultStorageLimit,
            maxUploadSize: Env.maxUploadSize,
            restrictRegistration: Env.restrictRegistration,
            httpSafeOrigin: Env.httpSafeOrigin,
        }));
    }
    if (path === '/api/broadcast' || path === '/api/instance') {
        return answer(request, response, 200, 'text/javascript', define({ name: Env.instanceName }));
    }
    if (room === 'datastore' && request.method !== 'HEAD') { return answer(request, response, 403, 'text/plain', ''); }
    if (room === 'block' && id !== undefined && !KEY.test(id)) {
        return answer(request, response, 404, 'application/json', '{"error":"INVALID_ID"}');
    }
    const found = files(path).find(isFile);
    if (found === undefined) { return answer(request, response, 404, TYPES['.html'], 'Not found'); }
    answer(request, response, 200, TYPES[Path.extname(found)] || 'application/octet-stream', Fs.readFileSync(found));
};

const server = Http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
        try {
            handle(request, response, Buffer.concat(chunks));
        } catch (error) {
            console.error(JSON.stringify(['ERROR', new Date().toISOString(), 'HTTP', { error: error.stack }]));
            answer(request, response, 500, 'text/plain', '');
        }
    });
});
server.on('upgrade', Websocket.upgrade); // the real one hands it on to its other port

// Nothing answers an ordinary question here, as in the real one.
const websockets = Http.createServer();
websockets.removeAllListeners('request');
websockets.on('upgrade', Websocket.upgrade);

server.listen(Env.httpPort, Env.httpAddress);
if (Env.httpSafePort) { Http.createServer(server.listeners('request')[0]).listen(Env.httpSafePort, Env.httpAddress); }

Decrees.load(Env);
if (!Env.admins.length) {
    if (!Env.installToken) { Decrees.decree(Env, 'ADD_INSTALL_TOKEN', [Crypto.randomBytes(32).toString('hex')], ''); }
    console.log('=============================');
    console.log('Create your first admin account and customize your instance by visiting');
    console.log(`${Env.httpUnsafeOrigin}/install/#${Env.installToken}`);
    console.log('=============================');
}
if (!Env.bearerSecret) { Decrees.decree(Env, 'SET_BEARER_SECRET', [Crypto.randomBytes(32).toString('base64')], 'INTERNAL'); }
for (const folder of [Env.paths.data, Env.paths.pin, Env.paths.task, Env.paths.staging, Env.paths.blob]) {
    Fs.mkdirSync(folder, { recursive: true });
}
put(Path.join(Env.paths.block, 'placeholder.txt'), (path) => Fs.writeFileSync(path, 'PLACEHOLDER\n'));
websockets.listen(Env.websocketPort, Env.httpAddress);
