"""The tools of a fake Mac: serveradmin, pg_dumpall and security. What the real one would reject is rejected."""
import json
import os
import re
import signal
import stat
import sys
import time

ROOT = sys.argv[1]
TOOL = sys.argv[2]
ARGS = sys.argv[3:]


def path(name):
    return os.path.join(ROOT, name)


with open(path("mac.json")) as file:
    MAC = json.load(file)


def note(words):
    with open(path("ledger"), "a") as ledger:
        ledger.write(words + "\n")


def record():
    with open(f"/proc/{os.getppid()}/cmdline", "rb") as file:
        parent = file.read().decode("latin-1")
    with open(path("records"), "a") as file:
        json.dump({"tool": TOOL, "argv": ARGS, "environment": dict(os.environ), "parent": parent}, file)
        file.write("\n")


def told(data):
    """What came on standard input; the only place where a password may be."""
    with open(path("told"), "ab") as file:
        file.write(data)


def end(code, err=""):
    if err:
        print(err, file=sys.stderr)
    sys.stdout.flush()
    sys.exit(code)


def archive():
    data = sys.stdin.buffer.read()
    told(data)
    text = data.decode()
    if not text.endswith("\n\n"):
        end(1, "serveradmin: the commands do not end with a blank line")
    values = {}
    for line in text[:-2].split("\n"):
        match = re.fullmatch(r'([A-Za-z:]+) = (?:"([^"\\]*)"|([A-Za-z]+))', line)
        if not match:
            end(1, "serveradmin: syntax")
        values[match[1]] = match[2] if match[2] is not None else match[3]
    if values.pop("dirserv:command", None) != "backupArchive":
        end(1, "serveradmin: command")
    target = values.pop("dirserv:backupArchiveParams:archivePath")
    password = values.pop("dirserv:backupArchiveParams:archivePassword")
    if values or not password or not os.path.isabs(target):
        end(1, "serveradmin: parameters")
    how = MAC["archive"]
    # The real one talks about what it was told.
    print(f'dirserv:backupArchiveParams:archivePassword = "{password}"')
    print(f'dirserv:echo = "{password}"')
    print('dirserv:state = "RUNNING"')
    if how == "refuse":
        print('dirserv:error = "ARCHIVE_REFUSED"')
        end(0)
    if how == "fail":
        end(1, "slapconfig: the archive could not be created")
    if how == "kill":
        os.mkdir(target)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        os.mkdir(target)
        note("serveradmin hangs")
        time.sleep(60)
    if how == "nothing":
        end(0)
    if os.path.lexists(target):
        print('dirserv:error = "PATH_EXISTS_ERR"')
        end(0)
    if how == "image":
        with open(target.removesuffix(".sparsebundle") + ".sparseimage", "w") as file:
            file.write("sprs " + MAC["content"])
        end(0)
    if how == "suffix":
        target += ".sparsebundle"
    os.mkdir(target)
    if how == "empty":
        end(0)
    os.mkdir(target + "/bands")
    for name in ["Info.plist", "token", "bands/0"]:
        with open(os.path.join(target, name), "w") as file:
            file.write(MAC["content"])
    end(0)


def settings():
    how = MAC["settings"]
    if how == "refuse":
        print('serveradmin:error = "NO_PERMISSION_ERR"')
        end(0)
    print('<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0">\n<dict><key>afp</key>')
    if how == "half":
        end(0)
    print(f"<string>{MAC['content']}</string></dict>\n</plist>")
    if how == "fail":
        end(1, "serveradmin: lost the connection")
    end(0, "2013-10-22 23:11:02.123 serveradmin[512:707] error loading a bundle that nobody needs")


def serveradmin():
    states = MAC["states"]
    if ARGS == ["fullstatus", "dirserv"]:
        note("serveradmin fullstatus dirserv")
        if MAC["role"] is None:
            print('dirserv:error = "CANNOT_LOAD_BUNDLE_ERR"')
        elif MAC["role"]:
            print('dirserv:state = "RUNNING"\ndirserv:backendVersion = "10.9"')
            print(f'dirserv:LDAPServerType = "{MAC["role"]}"')
        end(0)
    if len(ARGS) == 2 and ARGS[0] == "status":
        note("serveradmin status " + ARGS[1])
        if ARGS[1] not in states:
            print(f'{ARGS[1]}:error = "CANNOT_LOAD_BUNDLE_ERR"')
        elif states[ARGS[1]].endswith("_ERR"):
            print(f'{ARGS[1]}:error = "{states[ARGS[1]]}"')
        elif states[ARGS[1]]:
            print(f'{ARGS[1]}:state = "{states[ARGS[1]]}"')
        else:
            end(1, "serveradmin: no answer")
        end(0)
    if ARGS == ["command"]:
        note("serveradmin command")
        archive()
    if ARGS == ["-x", "settings", "all"]:
        note("serveradmin settings")
        settings()
    end(1, "usage: serveradmin")


def pg_dumpall():
    words = list(ARGS)
    if not words or words.pop(0) != "--no-password":
        end(1, "pg_dumpall: it would ask for a password")
    where, port = "default", None
    if words:
        flag_h, where, flag_p, port = words
        if (flag_h, flag_p) != ("-h", "-p"):
            end(1, "pg_dumpall: usage")
        if not stat.S_ISSOCK(os.stat(f"{where}/.s.PGSQL.{port}").st_mode):
            end(1, "pg_dumpall: could not connect to server: No such file or directory")
        where = os.path.relpath(where, path("host/system-root"))
    users = {}
    with open(path("host/users")) as file:
        for line in file:
            name, user, group = line.split()
            users[int(user)] = (name, int(group))
    name, group = users.get(os.getuid(), ("?", 0))
    if os.getgid() != group or os.getgroups():
        end(1, "pg_dumpall: wrong groups")
    note(f"pg_dumpall {name} {where}")
    how = MAC["dumps"].get(where, "good")
    if how == "refuse":
        end(1, 'pg_dumpall: could not connect to database "template1": FATAL:  role "x" does not exist')
    print("--\n-- PostgreSQL database cluster dump\n--\n\\connect postgres\n-- " + MAC["content"])
    print('CREATE TABLE t (a text);\nCOPY t FROM stdin;\n\\\\connect row\n\\.\n\\connect "my data"\n-- ' + where)
    if how == "kill":
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "half":
        end(0)
    print("--\n-- PostgreSQL database cluster dump complete\n--\n")
    if how == "complain":
        end(0, "pg_dump: WARNING: could not dump a table")
    end(0, "pg_dump: NOTICE:  there are circular foreign-key constraints")


def split_line(line):
    """As the interactive mode of security splits a line."""
    words, word, state, quote = [], bytearray(), "space", 0
    for byte in line:
        character = bytes([byte])
        if state == "space":
            if character.isspace():
                continue
            word = bytearray()
            if character in b"\"'":
                quote, state = character, "quoted"
                continue
            state = "plain"
        if state == "plain":
            if character == b"\\":
                state = "plain-escaped"
            elif character.isspace():
                words.append(bytes(word))
                state = "space"
            else:
                word += character
        elif state == "quoted":
            if character == b"\\":
                state = "quoted-escaped"
            elif character == quote:
                words.append(bytes(word))
                state = "space"
            else:
                word += character
        else:
            word += character
            state = state.removesuffix("-escaped")
    if state != "space":
        words.append(bytes(word))
    return words


def keychain(arguments):
    """One command of security; returns its exit code."""
    command, words = arguments[0], list(arguments[1:])
    if MAC["keychain"] != "open":
        return MAC["keychain"]
    options = {}
    while words and words[0].startswith(b"-"):
        flag = words.pop(0)
        options[flag] = words.pop(0) if flag in (b"-a", b"-s", b"-w") else True
    if words != [b"/Library/Keychains/System.keychain"]:
        return 50
    try:
        with open(path("keychain-items")) as file:
            items = json.load(file)
    except FileNotFoundError:
        items = {}
    key = (options.pop(b"-a") + b" " + options.pop(b"-s")).decode()
    note(f"security {command.decode()} {key}")
    if command == b"add-generic-password":
        password = options.pop(b"-w")
        if key in items and not options.pop(b"-U", False):
            return 45
        items[key] = password.hex() if not MAC.get("alters") else password.hex()[:-2]
    elif key not in items:
        return 44
    elif command == b"delete-generic-password":
        del items[key]
    elif command == b"find-generic-password" and options == {b"-g": True}:
        print(f'keychain: "/Library/Keychains/System.keychain"\nclass: "genp"')
        password = bytes.fromhex(items[key])
        plain = [32 <= byte <= 126 and byte != 92 for byte in password]
        shown = "".join(chr(byte) if good else f"\\{byte:03o}" for byte, good in zip(password, plain))
        text = "" if all(plain) else "0x" + password.hex().upper() + "  "
        print("password: " + text + (f'"{shown}"' if any(plain) else ""), file=sys.stderr)
    else:
        return 2
    with open(path("keychain-items"), "w") as file:
        json.dump(items, file)
    return 0


def security():
    if ARGS != ["-i"]:
        end(keychain([argument.encode() for argument in ARGS]))
    data = sys.stdin.buffer.read()
    told(data)
    code = 0
    # A line without an end is dropped, and a longer one is cut in two.
    for line in data.split(b"\n")[:-1]:
        for part in [line[at : at + 4095] for at in range(0, len(line), 4095)]:
            code = keychain(split_line(part.split(b"\0")[0]))
            if code:
                print(f"security: returned {code}", file=sys.stderr)
    end(code)


record()
{"serveradmin": serveradmin, "pg_dumpall": pg_dumpall, "security": security}[TOOL]()
