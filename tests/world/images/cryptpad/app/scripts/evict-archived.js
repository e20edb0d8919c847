'use strict';
// Removes what has lain in the archive for longer than the settings say, and nothing else.
const Fs = require('fs');
const Path = require('path');
const Env = require('../lib/env').create(require('../lib/load-config'));

const before = Date.now() - Env.archiveRetentionTime * 24 * 3600 * 1000;
let removed = 0;
const walk = (folder) => {
    for (const entry of Fs.readdirSync(folder, { withFileTypes: true })) {
        const path = Path.join(folder, entry.name);
        if (entry.isDirectory()) {
            walk(path);
        } else if (Fs.statSync(path).ctimeMs < before) {
            Fs.unlinkSync(path);
            removed += 1;
        }
    }
};
if (Fs.existsSync(Env.paths.archive)) { walk(Env.paths.archive); }
console.log(JSON.stringify(['INFO', 'EVICT_ARCHIVED_CHANNELS_REMOVED', removed]));
