'use strict';
// What the real server sets itself, on both addresses: a door must not add them again.
module.exports = (Env, url) => {
    const both = `${Env.httpUnsafeOrigin} ${Env.httpSafeOrigin}`;
    const websocket = Env.httpUnsafeOrigin.replace(/^http/, 'ws');
    const headers = {
        'X-XSS-Protection': '1; mode=block',
        'X-Content-Type-Options': 'nosniff',
        'Access-Control-Allow-Origin': Env.httpSafeOrigin,
        'Cross-Origin-Resource-Policy': 'cross-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
        'Cache-Control': /[?&]ver=[^/]+$/.test(url) ? 'max-age=31536000' : 'no-cache',
    };
    if (!/^\/api\/(broadcast|config)/.test(url)) {
        headers['Content-Security-Policy'] = [
            "default-src 'none'",
            `style-src 'unsafe-inline' 'self' ${both}`,
            `font-src 'self' data: ${both}`,
            `child-src ${both}`,
            `frame-src 'self' blob: ${Env.httpSafeOrigin}`,
            `connect-src 'self' blob: ${both} ${websocket}`,
            `img-src 'self' data: blob: ${Env.httpUnsafeOrigin}`,
            'media-src blob:',
            `frame-ancestors 'self' ${both}`,
            `worker-src 'self'`,
            `script-src 'self' resource: ${both}`,
        ].join('; ');
    }
    return headers;
};
