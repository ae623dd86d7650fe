/** How many threads the pool of Node.js has, which secrets, signatures, files and look-ups of names share. */
export const POOL_THREADS = Number(process.env['UV_THREADPOOL_SIZE']) || 4
