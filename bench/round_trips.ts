/** Commands to Redis and statements to PostgreSQL that this process has sent. Commands sent together count as one. */
export const roundTrips = { count: 0 }
