// An S3 store for mount tests: @20minutes/s3rver, which checks signatures, with what it does not do
// around it: digests of what is sent are checked and every request is logged, and a PUT can be held or cut.
//
//   node s3_server.js MODULES DIRECTORY BUCKET ID SECRET [SECONDS]
//
// MODULES has node_modules. In DIRECTORY: `port` once it serves, `log` with METHOD PATH STATUS BYTES DIGEST
// for each request that has ended (DIGEST: right, wrong or - ; STATUS 0: it was cut). While there is a file
// `hold` there, PUTs stop in their middle, with `hold-answer` when the object is there and they are not answered yet
// (`held` has one line for each that has stopped); with `cut` the next one is cut in its middle, and the file is
// gone. Its clock is SECONDS ahead.
"use strict";
const [modules, directory, bucket, id, secret, skew = "0"] = process.argv.slice(2);

const RealDate = Date;
global.Date = class extends RealDate {
	constructor(...args) {
		super(...(args.length ? args : [RealDate.now() + 1000 * Number(skew)]));
	}
	static now() {
		return RealDate.now() + 1000 * Number(skew);
	}
};

const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const s3rver = `${modules}/node_modules/@20minutes/s3rver/lib`;
const S3rver = require(`${s3rver}/s3rver.js`);
require(`${s3rver}/models/account.js`).DUMMY_ACCOUNT.createKeyPair(id, secret);

const at = (name) => `${directory}/${name}`;
const MIDDLE = 65536;

function whenGone(name, goOn) {
	fs.appendFileSync(at("held"), `${name}\n`);
	const timer = setInterval(() => {
		if (fs.existsSync(at(name))) return;
		clearInterval(timer);
		goOn();
	}, 20);
}

function holdOrCut(request) {
	if (fs.existsSync(at("cut"))) {
		fs.unlinkSync(at("cut"));
		request.socket.destroy();
	} else if (fs.existsSync(at("hold"))) {
		request.socket.pause();
		whenGone("hold", () => request.socket.resume());
	}
}

// Its body, as it comes: there may be no other reader of the stream.
function hashBody(request) {
	const hash = crypto.createHash("sha256");
	const push = request.push;
	let bytes = 0;
	request.push = function (chunk, ...rest) {
		if (chunk) {
			const before = bytes;
			hash.update(chunk);
			bytes += chunk.length;
			if (request.method === "PUT" && before < MIDDLE && bytes >= MIDDLE) holdOrCut(request);
		}
		return push.call(this, chunk, ...rest);
	};
	return () => [bytes, hash.digest("hex")];
}

function watch(request, response) {
	const body = hashBody(request);
	const end = response.end;
	response.end = function (...args) {
		if (request.method === "PUT" && fs.existsSync(at("hold-answer")))
			whenGone("hold-answer", () => end.apply(this, args));
		else end.apply(this, args);
		return this;
	};
	response.on("close", () => {
		const [bytes, digest] = body();
		const said = request.headers["x-amz-content-sha256"];
		const right = /^[0-9a-f]{64}$/.test(said) ? (digest === said ? "right" : "wrong") : "-";
		const status = response.writableFinished ? response.statusCode : 0;
		fs.appendFileSync(at("log"), `${request.method} ${request.url.split("?")[0]} ${status} ${bytes} ${right}\n`);
	});
}

async function main() {
	const store = new S3rver({
		directory: at("objects"),
		silent: true,
		vhostBuckets: false,
		configureBuckets: [{ name: bucket, configs: [] }],
	});
	await store.configureBuckets();
	const serve = store.callback();
	const server = http.createServer((request, response) => {
		watch(request, response);
		serve(request, response);
	});
	server.listen(0, "127.0.0.1", () => {
		fs.writeFileSync(at("port.new"), `${server.address().port}\n`);
		fs.renameSync(at("port.new"), at("port"));
	});
}

main();
