'use strict';
const Crypto = require('crypto');
const Decrees = require('../lib/decrees');
const Env = require('../lib/env').create(require('../lib/load-config'));

Decrees.load(Env);
if (Env.installToken) {
    console.log('Existing token');
} else {
    Decrees.decree(Env, 'ADD_INSTALL_TOKEN', [Crypto.randomBytes(32).toString('hex')], '');
}
console.log(`Install token:\n${Env.installToken}`);
console.log(`Please visit ${Env.httpUnsafeOrigin}/install/ to create your first admin user`);
