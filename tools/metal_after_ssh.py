"""Does Metal still compile in a process whose SSH login has ended? Needs a Mac and nothing else.

1. Copy this file to the Mac and come in over SSH (ssh localhost will do; a shared connection must
   be ended too: ssh -O exit):       python3 metal_after_ssh.py
2. Log out, wait three minutes, log in again, and paste what this prints:
                                    python3 metal_after_ssh.py show
3. If somebody is logged in at the screen: once more after they have logged out.

Better than /usr/bin/python3 is a Python that has torch or mlx. Nothing is installed or changed; the
answers are in ~/metal_after_ssh.txt, which may be deleted.
"""

import os
import platform
import secrets
import subprocess
import sys
import time
from pathlib import Path

ANSWERS = Path.home() / "metal_after_ssh.txt"
NUMBER = f"import sys; n = {2 + secrets.randbelow(9000)}\n"
TRIES = {
    "metal": """
from ctypes import CDLL, CFUNCTYPE, byref, c_char_p, c_void_p
lib = CDLL("/usr/lib/libobjc.dylib")
CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
metal = CDLL("/System/Library/Frameworks/Metal.framework/Metal")
lib.objc_getClass.restype = lib.sel_registerName.restype = c_void_p
metal.MTLCreateSystemDefaultDevice.restype = metal.MTLCopyAllDevices.restype = c_void_p
def send(what, name, *values, types=()):
    call = CFUNCTYPE(c_void_p, c_void_p, c_void_p, *types)(("objc_msgSend", lib))
    return call(what, lib.sel_registerName(name), *values)
device = metal.MTLCreateSystemDefaultDevice()
device = device or send(metal.MTLCopyAllDevices(), b"firstObject") or sys.exit("no device")
text = b"kernel void k(device float* x [[buffer(0)]]) { x[0] += %d; }" % n
string = send(lib.objc_getClass(b"NSString"), b"stringWithUTF8String:", text, types=[c_char_p])
error = c_void_p()
made = send(device, b"newLibraryWithSource:options:error:", string, None, byref(error),
            types=[c_void_p, c_void_p, c_void_p])
print("compiled" if made else "NOT COMPILED")""",
    "torch": """
import torch
x = torch.zeros(8, device="mps")
torch.mps.compile_shader("kernel void k(device float* x, uint i [[thread_position_in_grid]])"
                         "{ x[i] += %d; }" % n).k(x)
print(torch.__version__, "compiled" if x.sum().item() == 8 * n else "WRONG RESULT")""",
    "mlx": """
import mlx.core as mx
k = mx.fast.metal_kernel(name="k%d" % n, input_names=["x"], output_names=["y"],
                         source="uint i = thread_position_in_grid.x; y[i] = x[i] * %d;" % n)
y = k(inputs=[mx.ones(8)], output_shapes=[(8,)], output_dtypes=[mx.float32], grid=(8, 1, 1),
      threadgroup=(8, 1, 1))[0]
print("compiled" if y.sum().item() == 8 * n else "WRONG RESULT")""",
}


def run(*command: str) -> str:
    """Return the last line that a program prints, or how it ended."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:200]
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines() or [""]
    return lines[-1] + (f" (exit {done.returncode})" if done.returncode else "")


def look(when: str) -> None:
    """Write down what this process sees."""
    lines = [f"{when}: manager {run('/bin/launchctl', 'managername')}, user {os.getuid()}"]
    lines += [
        f"  {name}: {run(sys.executable, '-c', NUMBER + code)}" for name, code in TRIES.items()
    ]
    with ANSWERS.open("a") as file:
        file.write("\n".join(lines) + "\n")


def main() -> None:
    """Do the step that the command line names."""
    if sys.argv[1:] == ["show"]:
        print(ANSWERS.read_text())
    elif sys.argv[1:2] == ["stay"]:
        while run("/bin/ps", "-o", "pid=", "-p", sys.argv[2]) == sys.argv[2]:
            time.sleep(1)
        time.sleep(float(sys.argv[3]))
        look(f"{sys.argv[3]} s after the login's end")
    else:
        pid, name = os.getpid(), ""
        while pid > 1 and "sshd" not in name:
            row = run("/bin/ps", "-o", "ppid=", "-o", "comm=", "-p", str(pid)).split(None, 1)
            login, pid, name = pid, int(row[0]), row[1]
        ssh = "SSH" if "sshd" in name else "NOT SSH"
        seconds = (sys.argv[1:] or ["120"])[0]
        ANSWERS.write_text(f"{platform.platform()} {platform.mac_ver()[0]} {sys.version}, {ssh}\n")
        look("in the login")
        null = subprocess.DEVNULL
        words = [sys.executable, str(Path(__file__).resolve()), "stay", str(login), seconds]
        subprocess.Popen(words, stdin=null, stdout=null, stderr=null, start_new_session=True)
        print(ANSWERS.read_text() + "Now log out, wait three minutes, come back, and say: show")


if __name__ == "__main__":
    main()
