'use strict';
// Writes customize/www anew, as the real one does at every start.
const Fs = require('fs');
const config = require('../lib/load-config');

const origin = new URL(config.httpUnsafeOrigin).origin;
for (const page of ['index.html', 'login/index.html', 'register/index.html', 'drive/index.html']) {
    const dest = `customize/www/${page}`;
    console.log(`Creating ${dest}`);
    Fs.mkdirSync(dest.replace(/[^/]*$/, ''), { recursive: true });
    const url = `${origin}/${page.replace(/index\.html$/, '')}`;
    Fs.writeFileSync(dest, Fs.readFileSync('customize.dist/index.html', 'utf8')
        .replace('</title>', `</title>\n<meta property="og:url" content="${url}">`));
}
