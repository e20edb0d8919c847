'use strict';
// data/decrees/decree.ndjson: [command, args, author, time], a line each, read once when the server starts.
const Fs = require('fs');
const Path = require('path');

const commands = {
    RESTRICT_REGISTRATION: (Env, args) => {
        if (typeof args[0] !== 'boolean') { throw new Error('INVALID_ARGS'); }
        const changed = Env.restrictRegistration !== args[0];
        Env.restrictRegistration = args[0];
        return changed;
    },
    ADD_INSTALL_TOKEN: (Env, args) => { Env.installToken = args[0]; return true; },
    ADD_ADMIN_KEY: (Env, args) => { Env.admins.push(args[0]); return true; },
    SET_BEARER_SECRET: (Env, args) => { Env.bearerSecret = args[0]; return true; },
    SET_INSTANCE_NAME: (Env, args) => { Env.instanceName = args[0]; return true; },
};

const file = (Env) => Path.join(Env.paths.decree, 'decree.ndjson');

const handle = exports.handle = (Env, [command, args]) => {
    if (!commands[command]) { throw new Error('DECREE_UNSUPPORTED_COMMAND'); }
    return commands[command](Env, args);
};

exports.load = (Env) => {
    Fs.mkdirSync(Env.paths.decree, { recursive: true });
    if (!Fs.existsSync(file(Env))) { return; }
    Fs.readFileSync(file(Env), 'utf8').split('\n').filter(Boolean).forEach((line, index) => {
        try {
            handle(Env, JSON.parse(line));
        } catch (error) {
            console.error(JSON.stringify(['ERROR', 'DECREE_LINE_ERR', { error: error.message, index }]));
        }
    });
};

// Applied at once and written down, if it changes anything.
exports.decree = (Env, command, args, author) => {
    const line = [command, args, author, Date.now()];
    if (handle(Env, line)) { Fs.appendFileSync(file(Env), JSON.stringify(line) + '\n'); }
};
