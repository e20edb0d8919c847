'use strict';
// As the real one: a syntax error ends the server, any other fault is taken for «no settings».
const path = process.env.CRYPTPAD_CONFIG || '../config/config.js';
let config;
try {
    config = require(path);
} catch (error) {
    if (error instanceof SyntaxError) {
        console.error('config/config.js is faulty. Terminating.\n' + error.stack);
        process.exit(1);
    }
    console.log('Config not found, loading the example config');
    config = require('../config/config.example');
}
const atLeastZero = (n) => !isNaN(n) && n >= 0;
if (!atLeastZero(config.inactiveTime)) { config.inactiveTime = 90; }
if (!atLeastZero(config.archiveRetentionTime)) { config.archiveRetentionTime = 90; }
if (!atLeastZero(config.maxUploadSize)) { config.maxUploadSize = 20 * 1024 * 1024; }
if (!atLeastZero(config.defaultStorageLimit)) { config.defaultStorageLimit = 50 * 1024 * 1024; }
module.exports = config;
