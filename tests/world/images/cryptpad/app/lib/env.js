'use strict';
// What the code falls back on, which is not what the example says: localhost, ./pins, ./tasks, ./blobstage, ./data.
const Path = require('path');
const Package = require('../package.json');

exports.create = (config) => {
    const origin = (text) => text.trim().replace(/\/+$/, '');
    const main = origin(config.httpUnsafeOrigin);
    let sandbox;
    let safePort;
    if (typeof config.httpSafeOrigin === 'string') {
        sandbox = origin(config.httpSafeOrigin);
    } else {
        safePort = 3001;
        sandbox = Object.assign(new URL(main), { port: safePort }).origin;
    }
    const path = (key, fallback) => Path.resolve(typeof config[key] === 'string' ? config[key] : fallback);
    return {
        version: Package.version,
        freshKey: Date.now(),
        httpUnsafeOrigin: main,
        httpSafeOrigin: sandbox,
        httpAddress: typeof config.httpAddress === 'string' ? config.httpAddress : 'localhost',
        httpPort: config.httpPort || 3000,
        httpSafePort: safePort,
        websocketPort: config.websocketPort || 3003,
        inactiveTime: config.inactiveTime,
        archiveRetentionTime: config.archiveRetentionTime,
        defaultStorageLimit: config.defaultStorageLimit,
        maxUploadSize: config.maxUploadSize,
        admins: (config.adminKeys || []).slice(),
        restrictRegistration: false,
        installToken: undefined,
        paths: {
            pin: path('pinPath', './pins'),
            block: path('blockPath', './block'),
            data: path('filePath', './datastore'),
            staging: path('blobStagingPath', './blobstage'),
            blob: path('blobPath', './blob'),
            decree: path('decreePath', './data/'),
            archive: path('archivePath', './data/archive'),
            task: path('taskPath', './tasks'),
        },
    };
};
