//! What takes more than one command, and must be one step on the server.
//!
//! Scripts run alone there. They are sent by their hash, and in full where the server does not know the hash (it was
//! restarted, its scripts were flushed, a replica took over).

use std::sync::LazyLock;

use crate::record::{ENDS_AT, FLAG_AT, INTENT_HEAD, VERSION_AT};

/// A script, and the hash by which the server knows it.
pub(super) struct Script {
    pub(super) code: String,
    pub(super) hash: String,
}

/// All of them.
pub(super) struct Scripts {
    /// A record takes the place of exactly one lease: whoever lost it, to an evict, to its end or to a flush, does not fill (R2).
    /// `KEYS` entry; `ARGV` lease, record, ms, ms at most, channel, wake. 1 or 0.
    pub(super) fill: Script,
    /// A lease takes the place of exactly one record, so that of two who find it dead one loads. Where that is a lease somebody
    /// waits for, the new one has the flag. `KEYS` entry; `ARGV` record, lease, ms. 1 or 0.
    pub(super) lease_over: Script,
    /// Exactly these leases get more time; never one that took the place of another. `KEYS` entries; `ARGV` of each lease, ms. How many
    /// did.
    pub(super) renew: Script,
    /// Exactly one lease goes, and who waits for it hears. `KEYS` entry; `ARGV` lease, channel, wake.
    pub(super) release: Script,
    /// Exactly one lease is flagged: its holder announces the end, or it ends by itself. Because a fill is one step too, there is
    /// no moment in which the flag comes too late and is not told so. `KEYS` entry; `ARGV` lease. What it has left in ms, or nil.
    pub(super) await_fill: Script,
    /// Exactly one value gets more time, up to the end it was given, and never less than it has: one whose loader said how long it
    /// lives may have more than a hit grants. Never a lease, which would hold others up for as long. `KEYS` entry; `ARGV` version,
    /// ms. The ms that it has from now on, or 0.
    pub(super) touch: Script,
    /// What is under keys goes, but for the intents of others; then the number; then the message: who hears the number finds
    /// nothing older (R3). `KEYS` q, s, w, entries; `ARGV` of a bump, then the intent that ends or empty, one that is planted or
    /// empty, its ms. The mark, then 1 if the intent that ends no longer stood on one of them, or 0.
    pub(super) evict: Script,
    /// A record is put, or its key goes; the rest as an evict. Put under an intent only while nobody else has touched the key
    /// since, and without one only while nobody else has one. `KEYS` q, s, w, entry, other entries; `ARGV` of a bump, then
    /// record, ms, ms at most, the intent that ends or empty, ms that a key settles for if the record is not put. The mark,
    /// then 1 or 0.
    pub(super) put: Script,
    /// The number is noted as the floor of a cache before anybody hears of it. `KEYS` q, s, f; `ARGV` of a bump, then the name.
    pub(super) clear: Script,
    /// A number and its message. `KEYS` q, s, and f for the meta partition; `ARGV` of a bump.
    pub(super) bump: Script,
    /// A partition that has no number, or whose floors are lost, is a new one. `KEYS` as for a bump; `ARGV` of a bump.
    pub(super) found: Script,
}

/// The field of `f` that says to which epoch the floors belong. No cache has an empty name.
pub(super) const EPOCH: &str = "";

/// Comparing leases: the flag of those who wait is set by others, and makes no difference. No more is read of what is there than
/// a lease is long, or a value of another program could stop the server. And the end of a value that slides: by
/// the clock of the server, the only one that all nodes share.
const RECORDS: &str = "
local function standing(lease, key)
  local there = redis.call('GETRANGE', key or KEYS[1], '0', #lease)
  local same = #there == #lease and there:sub(1, FLAG) == lease:sub(1, FLAG) and there:sub(FLAG + 2) == lease:sub(FLAG + 2)
  return same and there
end
local function announce(lease, channel, wake)
  if lease:byte(FLAG + 1) ~= 0 then redis.call('PUBLISH', channel, wake) end
end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function ending(record, most)
  if most == '' then return record end
  return record:sub(1, ENDS) .. struct.pack('>I8', now() + most) .. record:sub(ENDS + 9)
end
";

/// Intents: who has one on a key keeps others from filling it until it ends, so nobody else may take it away.
///
/// Interleaving that a list of them defeats: A and B plant theirs; B ends, and would take A's along; a reader loads what A is
/// about to change, and fills; A commits and dies. What is left of the list when one has ended is marked as touched, and so is
/// what a second one finds: only who was alone from its intent to its put knows that its value is the newest. More than 32
/// are one that nobody ends but its time, so that a kilobyte has room for all.
///
/// What settles does so to the last end that anybody gave it.
///
/// Interleaving that this defeats: loaders of one process read from a replica that is ten seconds behind, and it evicts a key; another
/// process evicts it too, whose replica is a second behind; after that second the first loads what was before both, and fills.
///
/// `KEYS[3]` is there while any key may have one: only then does an evict look at its keys, of which it may have thousands.
const INTENTS: &str = "
local SETTLING, SEVERAL = string.rep('\\0', 16), string.rep('\\255', 16)
local writing = redis.pcall('GET', KEYS[3])
local function others(key, own, new)
  if not writing or redis.pcall('GETRANGE', key, '0', '3') ~= 'INTENT' then return '', 0, false, false, false, 0 end
  local record, time = redis.call('GETRANGE', key, '0', '1023'), now()
  local rest, till, contested, stands, before = '', 0, false, false, 0
  for at = VERSION + 1, #record - 23, 24 do
    local writer, ends = record:sub(at, at + 15), struct.unpack('>I8', record, at + 16)
    if writer == own then
      stands = true
    elseif ends > time and ends < 1e13 then
      if writer == new then
        before = ends
      else
        rest, till = rest .. record:sub(at, at + 23), math.max(till, ends)
        contested = contested or writer ~= SETTLING
      end
    end
  end
  local alone = stands and not contested and record:byte(FLAG + 1) == 0
  -- Of several that are one nobody knows whose they are.
  return rest, till, contested, alone, stands or rest:sub(1, 16) == SEVERAL, before
end
local function remove(from, own, new, ms)
  local left, lost = {}, 0
  for at = from, #KEYS do
    local rest, till, contested, _, stands, before = others(KEYS[at], own, new)
    if own ~= '' and not stands then lost = 1 end
    if new ~= '' then
      if #rest >= 32 * 24 then rest = SEVERAL .. struct.pack('>I8', till) end
      local ends = math.max(now() + ms, before)
      rest, till = rest .. new .. struct.pack('>I8', ends), math.max(till, ends)
    end
    if rest ~= '' then
      left[at] = { 'INTENT' .. (contested and '\\1' or '\\0') .. '\\0\\0\\0' .. rest, string.format('%.0f', till) }
    end
  end
  for at = from, #KEYS, 1000 do redis.call('UNLINK', unpack(KEYS, at, math.min(at + 999, #KEYS))) end
  for at, intent in pairs(left) do redis.call('SET', KEYS[at], intent[1], 'PXAT', intent[2]) end
  -- A second more, for the clock of a script may stand still.
  if new ~= '' and not redis.call('SET', KEYS[3], '', 'NX', 'PX', ms + 1000) then
    redis.call('PEXPIRE', KEYS[3], ms + 1000, 'GT')
  end
  return lost
end
";

/// `ARGV` of a bump: channel, length of the log, an epoch in case there is none, chain, tail of the message.
///
/// The first command of each of these scripts is one that a server without memory lets pass, and after it the others pass too:
/// an evict is not to fail half way. Where `q` is no hash, or has not got what it should, it is as good as lost.
const NUMBERS: &str = "
local function stands(f)
  redis.pcall('HDEL', KEYS[1], '_')
  local at = redis.pcall('HMGET', KEYS[1], 'e', 'n', 'c')
  local e, n, c = at[1], at[2], at[3]
  local counts = n and #n < 16 and (n == '0' or n:find('^[1-9]%d*$'))
  if e and #e == 16 and counts and c and #c == 16 and (not f or redis.pcall('HGET', f, 'EPOCH') == e) then
    return e, c
  end
  e = ARGV[3]
  redis.call('UNLINK', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'e', e, 'n', 0, 'c', e)
  if f then
    redis.call('UNLINK', f)
    redis.call('HSET', f, 'EPOCH', e)
  end
  return e, e
end
local function number(f)
  local e, before = stands(f)
  local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
  redis.call('HSET', KEYS[1], 'c', ARGV[4])
  return e, n, before
end
local function tell(e, n, before)
  local message = '\\1' .. e .. struct.pack('>I8', n) .. before .. ARGV[4] .. ARGV[5]
  if ARGV[2] ~= '0' then
    local log = { 'XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], string.format('%.0f-0', n), 'm', message }
    if type(redis.pcall(unpack(log))) == 'table' then
      redis.call('UNLINK', KEYS[2])
      redis.call(unpack(log))
    end
  end
  redis.call('PUBLISH', ARGV[1], message)
  return { e, n, ARGV[4] }
end
";

const FILL: &str = "
local there = standing(ARGV[1])
if not there then return 0 end
redis.call('SET', KEYS[1], ending(ARGV[2], ARGV[4]), 'PX', ARGV[3])
announce(there, ARGV[5], ARGV[6])
return 1
";

/// What begins as the new lease does is a lease.
///
/// Interleaving that keeping its flag defeats: another process waits for a load whose caller leaves; a lease without the flag takes the
/// place of its lease before that is given back; the fill is not announced, and who waits sleeps until the old lease would have ended.
const LEASE_OVER: &str = "
local record, lease = ARGV[1], ARGV[2]
if redis.call('GETRANGE', KEYS[1], '0', #record) ~= record then return 0 end
if record:sub(1, FLAG) == lease:sub(1, FLAG) then lease = record:sub(1, FLAG + 1) .. lease:sub(FLAG + 2) end
redis.call('SET', KEYS[1], lease, 'PX', ARGV[3])
return 1
";

const RENEW: &str = "
local renewed = 0
for at, key in ipairs(KEYS) do
  if standing(ARGV[2 * at - 1], key) then renewed = renewed + redis.call('PEXPIRE', key, ARGV[2 * at]) end
end
return renewed
";

const RELEASE: &str = "
local there = standing(ARGV[1])
if not there then return 0 end
redis.call('UNLINK', KEYS[1])
announce(there, ARGV[2], ARGV[3])
return 1
";

const AWAIT_FILL: &str = "
if not standing(ARGV[1]) then return false end
redis.call('SETRANGE', KEYS[1], FLAG, '\\1')
return redis.call('PTTL', KEYS[1])
";

/// A lease is shorter than the part of a value that is read here, and no writer's nonce is a version.
const TOUCH: &str = "
local head = redis.call('GETRANGE', KEYS[1], 0, ENDS + 7)
if #head ~= ENDS + 8 or head:sub(VERSION + 1, VERSION + 16) ~= ARGV[1] then return 0 end
local ms, ends = tonumber(ARGV[2]), struct.unpack('>I8', head, ENDS + 1)
if ends ~= 0 then ms = math.min(ms, ends - now()) end
local left = redis.call('PTTL', KEYS[1])
if left >= ms then return left end
if ms < 1 then return 0 end
return redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ms)) * ms
";

const EVICT: &str = "
local lost = remove(4, ARGV[6], ARGV[7], tonumber(ARGV[8]))
local mark = tell(number())
mark[4] = lost
return mark
";

/// The record goes in before anything else is written, so that a server without memory refuses it; then it is not put.
const PUT: &str = "
local own, settle, put = ARGV[9], tonumber(ARGV[10]), 0
local key = KEYS[4]
local _, _, contested, alone = others(key, own, '')
if alone or own == '' and not contested then
  local set = redis.pcall('SET', key, ending(ARGV[6], ARGV[8]), 'PX', ARGV[7])
  if set.ok then put = 1 end
end
if put == 1 then remove(5, own, '', 0) else remove(4, own, settle > 0 and SETTLING or '', settle) end
local mark = tell(number())
mark[4] = put
return mark
";

const CLEAR: &str = "
local e, n, before = number(KEYS[3])
redis.call('HSET', KEYS[3], ARGV[6], n)
return tell(e, n, before)
";

const BUMP: &str = "return tell(number(KEYS[3]))";

const FOUND: &str = "stands(KEYS[3])";

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    fill: script(&[RECORDS, FILL]),
    lease_over: script(&[LEASE_OVER]),
    renew: script(&[RECORDS, RENEW]),
    release: script(&[RECORDS, RELEASE]),
    await_fill: script(&[RECORDS, AWAIT_FILL]),
    touch: script(&[RECORDS, TOUCH]),
    evict: script(&[RECORDS, INTENTS, NUMBERS, EVICT]),
    put: script(&[RECORDS, INTENTS, NUMBERS, PUT]),
    clear: script(&[NUMBERS, CLEAR]),
    bump: script(&[NUMBERS, BUMP]),
    found: script(&[NUMBERS, FOUND]),
});

fn script(parts: &[&str]) -> Script {
    let intent = INTENT_HEAD.map(|byte| format!("\\{byte}")).concat();
    let code = parts
        .concat()
        .replace("INTENT", &intent)
        .replace("FLAG", &FLAG_AT.to_string())
        .replace("VERSION", &VERSION_AT.to_string())
        .replace("ENDS", &ENDS_AT.to_string())
        .replace("EPOCH", EPOCH);
    let hash = redis::Script::new(&code).get_hash().to_owned();
    Script { code, hash }
}
