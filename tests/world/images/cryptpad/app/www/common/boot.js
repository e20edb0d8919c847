'use strict';
// The main address loads its inner half from the sandbox; opened in any other way, the page stays white.
let config;
const define = (factory) => { config = factory(); };
const script = document.createElement('script');
script.src = '/api/config';
script.onload = () => {
    const here = window.location.origin;
    if (window.top !== window) {
        if (here === config.httpSafeOrigin) { window.parent.postMessage('ready', config.httpUnsafeOrigin); }
        return;
    }
    if (here !== config.httpUnsafeOrigin) { return; }
    window.addEventListener('message', (event) => {
        if (event.origin === config.httpSafeOrigin && event.data === 'ready') {
            document.getElementById('cp').hidden = false;
        }
    });
    const frame = document.createElement('iframe');
    frame.src = config.httpSafeOrigin + '/index.html';
    frame.hidden = true;
    document.body.append(frame);
};
document.head.append(script);
