"""A launchctl that keeps a ledger, knows what is loaded, and refuses what the real one refuses."""

import json
import os
import plistlib
import sys

directory, version, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
modern = tuple(int(part) for part in version.split(".")[:2]) >= (10, 10)
state_file = os.path.join(directory, "launchd.json")
state = {"loaded": {}, "disabled": [], "running": [], "fail": "", "last": {}}
if os.path.exists(state_file):
    with open(state_file) as file:
        state.update(json.load(file))

with open(os.path.join(directory, "ledger"), "a") as file:
    print(*arguments, file=file)


def end(code, message=""):
    with open(state_file, "w") as file:
        json.dump(state, file)
    if message:
        print(message, file=sys.stderr)
    sys.exit(code)


def label_of(path):
    """The label of a job that launchd would accept."""
    found = os.lstat(path)
    if found.st_uid != 0 or found.st_mode & 0o022 or not path.endswith(".plist"):
        return None
    with open(path, "rb") as file:
        job = plistlib.load(file)
    assert isinstance(job["ProgramArguments"], list) and os.path.isabs(job["ProgramArguments"][0])
    assert os.path.basename(path) == job["Label"] + ".plist"
    return job["Label"]


def label_in(target):
    domain, _, label = target.partition("/")
    assert domain == "system" and label, target
    return label


def unknown(label):
    end(113, f'Could not find service "{label}" in domain for system')


command = arguments[0]
if command == state["fail"]:
    # The old one tells of a failure and ends with 0 all the same.
    end(5 if modern else 0, f"{command} failed: 5: Input/output error")
if modern and command == "enable":
    label = label_in(arguments[1])
    state["disabled"] = [other for other in state["disabled"] if other != label]
elif modern and command == "bootstrap":
    assert arguments[1] == "system", arguments
    label = label_of(arguments[2])
    if label is None or label in state["disabled"] or label in state["loaded"]:
        end(5, "Bootstrap failed: 5: Input/output error")
    state["loaded"][label] = arguments[2]
elif modern and command == "bootout":
    label = label_in(arguments[1])
    if state["loaded"].pop(label, None) is None:
        end(3, "Boot-out failed: 3: No such process")
    # It goes on by itself.
    end(36, "Boot-out failed: 36: Operation now in progress")
elif modern and command == "kickstart":
    label = label_in(arguments[1])
    if label not in state["loaded"]:
        unknown(label)
elif modern and command == "print":
    label = label_in(arguments[1])
    if label not in state["loaded"]:
        unknown(label)
    running = label in state["running"]
    print(f"system/{label} = {{")
    print(f"\tactive count = {int(running)}\n\tpath = {state['loaded'][label]}\n\ttype = LaunchDaemon")
    print(f"\tstate = {'running' if running else 'not running'}\n")
    print(f"\tdomain = system\n\truns = 6\n\tlast exit code = {state['last'].get(label, '(never exited)')}\n")
    print('\tevent triggers = {\n\t\tx => {\n\t\t\tstate = 1\n\t\t}\n\t}\n}')
elif not modern and command == "load":
    assert arguments[1] == "-w", arguments
    label = label_of(arguments[2])
    if label is None:
        print(f"{arguments[2]}: Dubious ownership on file (skipping)", file=sys.stderr)
    else:
        state["loaded"][label] = arguments[2]
elif not modern and command == "unload":
    assert arguments[1] == "-w", arguments
    state["loaded"].pop(label_of(arguments[2]), None)
elif not modern and command == "start":
    if arguments[1] not in state["loaded"]:
        end(3, "launchctl start error: No such process")
elif not modern and command == "list":
    label = arguments[1]
    if label not in state["loaded"]:
        end(1, "launchctl list returned unknown response")
    print("{")
    print(f'\t"Label" = "{label}";\n\t"LimitLoadToSessionType" = "System";\n\t"OnDemand" = true;')
    print(f'\t"LastExitStatus" = {256 * int(state["last"].get(label, 0))};')
    if label in state["running"]:
        print('\t"PID" = 4711;')
    print("};")
else:
    end(64, f'Unrecognized subcommand: {command}\nUsage: launchctl <subcommand> ... | help [subcommand]')
end(0)
