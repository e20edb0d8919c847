// CryptPad's settings. Everything comes from the environment, which compose.yaml fills and start.sh checks.
//
// Nothing here may throw: CryptPad would say nothing and run on its example settings. And each path is written out:
// without them CryptPad would use folders that nobody saves (./pins, ./tasks, ./blobstage), whatever its example says.
module.exports = {
    httpUnsafeOrigin: process.env.CPAD_MAIN_DOMAIN, // what people type
    httpSafeOrigin: process.env.CPAD_SANDBOX_DOMAIN, // the sandbox
    httpAddress: '0.0.0.0', // without it CryptPad listens inside its container only
    httpPort: 3000,
    websocketPort: 3003,
    maxWorkers: Number(process.env.CRYPTPAD_WORKERS) || 1,
    installMethod: 'docker',

    // Administrators are made by the installation link and in CryptPad itself.
    adminKeys: [],
    blockDailyCheck: true, // nothing is told to CryptPad's makers
    logIP: false,

    // Nothing that nobody asked to delete is ever deleted: what is not in somebody's drive stays, too.
    disableIntegratedEviction: true,
    inactiveTime: false,
    archiveRetentionTime: 15, // days for which what people delete can be brought back

    // A practice's own disk is larger than CryptPad's default of 50 MB for each account.
    defaultStorageLimit: 1024 * 1024 * 1024,
    maxUploadSize: 100 * 1024 * 1024,

    filePath: './datastore/',
    blobPath: './blob',
    blockPath: './block',
    pinPath: './data/pins',
    taskPath: './data/tasks',
    decreePath: './data/decrees',
    archivePath: './data/archive',
    blobStagingPath: './data/blobstage',

    // To Docker, which keeps its logs short.
    logPath: false,
    logToStdout: true,
    logLevel: 'warn',
    logFeedback: false,
    verbose: false,
};
