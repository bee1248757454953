// The least that a verification service in Node.js can do: fastify in front, one script in Redis by ioredis behind.
// No limits, no outbox, no keys of callers, no delivery: what it takes is a floor for Node.js, not a rival.
import { createHmac, randomBytes, randomInt } from "node:crypto";
import Fastify from "fastify";
import Redis from "ioredis";

const KEY = randomBytes(32);
const TTL = 300_000;

const redis = new Redis(process.env.REDIS_URL);
redis.defineCommand("check", {
  numberOfKeys: 1,
  lua: `local r = redis.call('HMGET', KEYS[1], 'status', 'digest', 'attempts')
    if not r[1] then return 'missing' end
    if r[1] ~= 'pending' or tonumber(r[3]) >= 5 then return r[1] end
    if r[2] ~= ARGV[1] then
      redis.call('HINCRBY', KEYS[1], 'attempts', 1)
      return 'mismatch'
    end
    redis.call('HSET', KEYS[1], 'status', 'approved')
    return 'approved'`,
});
redis.defineCommand("begin", {
  numberOfKeys: 1,
  lua: `redis.call('HSET', KEYS[1], 'status', 'pending', 'attempts', 0, 'to', ARGV[1], 'digest', ARGV[2])
    return redis.call('PEXPIRE', KEYS[1], ARGV[3])`,
});

const digest = (id, code) => createHmac("sha256", KEY).update(id + code).digest("base64url");
const app = Fastify();

app.post("/start", async (request) => {
  const id = randomBytes(16).toString("hex");
  const code = String(randomInt(1_000_000)).padStart(6, "0");
  await redis.begin(`v:${id}`, request.body.to, digest(id, code), TTL);
  return { id, code, status: "pending" };
});

app.post("/check", async (request) => {
  const { id, code } = request.body;
  return { id, status: await redis.check(`v:${id}`, digest(id, code)) };
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
