/* redis_scripts.h - the layout of the store's keys, and the scripts that change them.
 *
 * All keys begin with REDIS_PREFIX, whose braces put them into one slot of a cluster:
 *     schema       the version of this layout
 *     r:ID         hash, one callback: v its version, r its record (redis_record.h), q the entry of
 *                  `work` that stands for it, 0 1 2 its payloads (enum store_payload)
 *     work         stream: ids of reports that are due; consumer group "receivers", a consumer each
 *     due          sorted set, by ms: when a report is due again; what is claimed, when its lease
 *                  ends. Each accepted report is here, or waits in `work`, or both (claimed)
 *     judge        sorted set, by ms: when silence is judged
 *     expires      sorted set, by ms: when a callback may be forgotten, unless it is accepted; at
 *                  full hours
 *     beat         sorted set, by ms: when a heartbeat to Lambda is due
 *     reported     sorted set, by ms: when the reports came that are not delivered
 *     state:N      sorted set, by ms of creation: the callbacks of each state
 *     grace        ms: nobody is judged before its heartbeat period has passed from then on
 *     receivers    sorted set, by ms of Redis's clock: when each receiver was seen last
 *     leader       NAME:FENCE of the receiver that judges; expires when it is not renewed
 *     fence        counter
 *     probe        ms
 *
 * A script is one step that nothing comes between. All take REDIS_PREFIX as KEYS[1]. Redis 6.2 or
 * later. */
#ifndef RECEIVER_REDIS_SCRIPTS_H
#define RECEIVER_REDIS_SCRIPTS_H

#define REDIS_PREFIX   "{callbacks}:"
#define REDIS_SCHEMA   1
#define REDIS_GROUP    "receivers"
#define REDIS_NO_ENTRY "0-0" /* `q` of a callback that has left the queue */

enum redis_script {
    /* NAME of a key that is of a type that is not ours, or "". Makes the group. */
    REDIS_CHECK,
    /* fence, now ("" where the next due time is not asked), n, n times (key, version it was read
     * with), commands as (number of words, name, key behind the prefix, rest), "0", n times (number
     * of words, id or "", fields of the hash with their values: where there is an id it goes into
     * the queue, and its entry into the hash). Returns {0, next due}; {1}: another has written one
     * of them, {2}: fence is not the leader's: then nothing has happened. */
    REDIS_COMMIT,
    /* receiver, now, limit, until when they are held for a commit. Moves what is due to `work` and
     * takes up to `limit` from there. Returns {next due where nothing was taken, id, entry, ...}.
     */
    REDIS_CLAIM,
    /* receiver, now, "start" | "grace" | "judge", ms of the leader's lease, ms after which a silent
     * receiver is dead, limit, until when heartbeats are asked for. Returns {leader's token or "",
     * grace, next due, {ids that dead receivers have claimed}, {ids to judge}, {ids with a
     * heartbeat}}. */
    REDIS_LEAD,
    /* now, limit, when to look again at what is not delivered yet. Returns how many it looked at.
     */
    REDIS_PURGE,
    /* receiver */
    REDIS_LEAVE,
    REDIS_SCRIPTS
};

/* Static. */
const char *redis_script_text(enum redis_script which);

#endif
