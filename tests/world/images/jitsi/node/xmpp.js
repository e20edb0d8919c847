// A very small XMPP client: one account, STARTTLS, SASL PLAIN, as much XML as Prosody writes.
"use strict";
const net = require("net");
const tls = require("tls");
const { EventEmitter } = require("events");

const CODES = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&" };
const plain = (text) => text.replace(/&(lt|gt|quot|apos|amp);/g, (code) => CODES[code]);
const quote = (text) => text.replace(/[<>"'&]/g, (sign) => Object.keys(CODES).find((code) => CODES[code] === sign));

class Element {
    constructor(name, attrs) { Object.assign(this, { name, attrs, children: [], text: "" }); }
    child(name) { return this.children.find((each) => each.name === name); }
}

// Calls `begun` for the stream's own tag, and `done` for every element right below it.
class Parser {
    constructor(begun, done) { Object.assign(this, { begun, done, rest: "", open: [], inside: false }); }

    feed(data) {
        this.rest += data;
        let found;
        while ((found = /^([^<]*)<([^>]*)>/.exec(this.rest))) {
            this.rest = this.rest.slice(found[0].length);
            if (this.open.length) this.open[this.open.length - 1].text += plain(found[1]);
            this.tag(found[2]);
        }
    }

    tag(tag) {
        if (tag.startsWith("?")) return;
        if (tag.startsWith("/")) return this.close();
        const [, name, rest] = /^([^\s/]+)(.*)$/s.exec(tag);
        const attrs = {};
        for (const [, key, , value] of rest.matchAll(/([^\s=]+)=(['"])(.*?)\2/gs)) attrs[key] = plain(value);
        if (!this.inside) { this.inside = true; return this.begun(attrs); }
        const element = new Element(name, attrs);
        if (this.open.length) this.open[this.open.length - 1].children.push(element);
        this.open.push(element);
        if (rest.endsWith("/")) this.close();
    }

    close() {
        const element = this.open.pop();
        if (element && !this.open.length) this.done(element);
    }
}

// Emits `online` with the full address, `stanza` for what comes, `offline` with the reason; then tries again.
class Client extends EventEmitter {
    constructor(options) { super(); this.options = options; this.jid = null; this.start(); }

    start() {
        const { host, port } = this.options;
        const socket = net.connect({ host, port });
        this.use(socket);
        this.greet();
    }

    use(socket) {
        this.socket = socket;
        socket.setEncoding("utf8");
        socket.on("data", (data) => socket === this.socket && this.parser.feed(data));
        socket.on("error", (error) => this.lost(socket, error.message));
        socket.on("close", () => this.lost(socket, "the stream ended"));
    }

    lost(socket, reason) {
        if (socket !== this.socket) return;
        this.socket = null;
        this.jid = null;
        this.emit("offline", reason);
        setTimeout(() => this.start(), 1000);
    }

    greet() {
        this.parser = new Parser(() => {}, (element) => this.handle(element));
        this.send(`<?xml version='1.0'?><stream:stream to='${this.options.domain}' version='1.0' xmlns='jabber:client'` +
            ` xmlns:stream='http://etherx.jabber.org/streams'>`);
    }

    send(text) { if (this.socket) this.socket.write(text); }

    handle(element) {
        switch (element.name) {
            case "stream:features": return this.next(element);
            case "proceed": {
                const raw = this.socket;
                raw.removeAllListeners();
                this.use(tls.connect({ socket: raw, rejectUnauthorized: false }));
                return this.greet();
            }
            case "success": return this.greet();
            case "failure": return this.socket.destroy(new Error(`login refused: ${element.children.map((each) => each.name)}`));
            case "iq":
                if (element.attrs.id === "bind" && element.attrs.type === "result") {
                    this.jid = element.child("bind").child("jid").text;
                    this.send("<presence/>");
                    return this.emit("online", this.jid);
                }
        }
        this.emit("stanza", element);
    }

    next(features) {
        const { user, password } = this.options;
        if (features.child("starttls") && !this.socket.encrypted) {
            this.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        } else if (features.child("mechanisms")) {
            const secret = Buffer.from(`\0${user}\0${password}`).toString("base64");
            this.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${secret}</auth>`);
        } else {
            this.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        }
    }
}

const yes = (text) => ["1", "t", "true"].includes((text || "").toLowerCase());
const say = (...words) => console.log(new Date().toISOString(), ...words);
const bare = (jid) => jid.split("/")[0];
const domain = (jid) => bare(jid).split("@").pop();

module.exports = { Client, quote, yes, say, bare, domain };
