// Checks one message as a customer's Node.js receiver would, with the public standardwebhooks library.
//
// Reads {"secret", "headers", "body"} as JSON from stdin, the body in base64. Prints "valid" and exits with 0, or the
// reason why the message is refused and exits with 1.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// script/test installs the library below target/, where nothing is found by the usual search upwards.
const require = createRequire(new URL("../../target/receivers/node/", import.meta.url));
const { Webhook } = require("standardwebhooks");

const message = JSON.parse(readFileSync(0, "utf8"));
try {
  const body = Buffer.from(message.body, "base64").toString("utf8");
  new Webhook(message.secret).verify(body, message.headers);
  console.log("valid");
} catch (error) {
  console.log(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
