// Checks one message as a customer's Node.js receiver would, with the public library of a well-known sender.
//
// The argument names the sender. Reads {"secret", "headers", "body", "url"} as JSON from stdin, the body in base64. Prints
// "valid" and exits with 0, or the reason why the message is refused and exits with 1.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// script/test installs the libraries below target/, where nothing is found by the usual search upwards.
const home = new URL("../../target/receivers/node/", import.meta.url);
const require = createRequire(home);
const load = (file) => import(pathToFileURL(new URL(`node_modules/${file}`, home).pathname));

const assert = (holds, reason) => {
  if (!holds) throw new Error(reason);
};

async function svix({ secret, headers, body }) {
  const { Webhook } = require("svix");
  new Webhook(secret).verify(body, headers);
}

async function github({ secret, headers, body }) {
  const { verify } = await load("@octokit/webhooks-methods/dist-node/index.js");
  assert(await verify(secret, body, headers["x-hub-signature-256"]), "the signature is not valid");
}

async function shopify({ secret, headers, body }) {
  require("@shopify/shopify-api/adapters/node");
  const { shopifyApi } = require("@shopify/shopify-api");
  const api = shopifyApi({
    apiKey: "key",
    apiSecretKey: secret,
    apiVersion: "2025-01",
    hostName: "receiver.example",
    isEmbeddedApp: false,
    logger: { log: () => {} },
  });
  const result = await api.webhooks.validate({ rawBody: body, rawRequest: { method: "POST", url: "/", headers } });
  assert(result.valid, JSON.stringify(result));
  assert(result.topic === "ORDERS_CREATE" && result.domain === "cool.myshopify.com", JSON.stringify(result));
}

async function httpSignatures({ secret, headers, body, url }) {
  const { createVerifier, httpbis } = require("http-message-signatures");
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const verify = createVerifier(key, "hmac-sha256");
  const keyLookup = async ({ keyid }) => ({ id: keyid, algs: ["hmac-sha256"], verify });
  assert(await httpbis.verifyMessage({ keyLookup }, { method: "POST", url, headers }), "no signature was checked");
  const digest = createHash("sha256").update(body).digest("base64");
  assert(headers["content-digest"] === `sha-256=:${digest}:`, "the digest is not the body's");
}

const checks = { svix, github, shopify, "http-signatures": httpSignatures };
const message = JSON.parse(readFileSync(0, "utf8"));
message.body = Buffer.from(message.body, "base64").toString("utf8");
try {
  await checks[process.argv[2]](message);
  console.log("valid");
} catch (error) {
  console.log(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
