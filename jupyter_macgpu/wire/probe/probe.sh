# Prints how this machine is: one section for each tool, after a line "@NONCE@ KIND".
#
# Meant for `/bin/sh -s` over one SSH channel: read-only, no sudo, no Python. POSIX sh only,
# since /bin/sh may be bash 3.2, dash or zsh. A nonce marks the sections, because a login shell's
# start files may print anything before. Whoever reads this keeps a limit of 10 seconds of his own.
exec 2>/dev/null
LC_ALL=C LANG=C PATH=/usr/bin:/bin:/usr/sbin:/sbin
export LC_ALL LANG PATH
unset CDPATH ENV
stopped=

# ask SECONDS TOOL ARGUMENT...: what the tool says, in $said.
# A tool that had to be stopped is not asked again. macOS has no `timeout`: a companion waits and
# kills. It holds none of our descriptors, so that nobody waits for it.
ask() {
    seconds=$1
    shift
    said=
    case " $stopped " in *" $1 "*) return 0 ;; esac
    said=$(
        "$@" </dev/null &
        tool=$!
        (
            over= nap=
            trap 'over=1; kill "$nap"' TERM
            sleep "$seconds" &
            nap=$!
            # The signal may have come before there was anything to kill, and it ends a `wait`.
            [ -z "$over" ] || kill "$nap"
            wait "$nap"
            wait "$nap"
            [ -n "$over" ] || kill -9 "$tool"
        ) </dev/null >/dev/null &
        guard=$!
        wait "$tool"
        result=$?
        kill "$guard"
        wait "$guard"
        exit "$result"
    )
    [ $? -lt 128 ] || stopped="$stopped $1"
}

section() { printf '\n@NONCE@ %s\n' "$1"; }

show() {
    ask "$@"
    printf '%s\n' "$said"
}

# pick PATTERN SECONDS TOOL ARGUMENT...: the lines of what it says that match.
pick() {
    pattern=$1
    shift
    ask "$@"
    printf '%s\n' "$said" | grep -E "$pattern"
}

property() { pick "^(\\+-o |[ |]*\"($1)\" = )" 2 ioreg -r -d 1 -w 0 "$2" "$3"; }

account() {
    section setup
    printf 'uid %s\n' "$(id -u)"
    printf 'clock %s\n' "$(date +%s)"
    printf 'open_files %s\n' "$(ulimit -Sn)"
    printf 'open_files_most %s\n' "$(ulimit -Hn)"
    for uv in "$HOME/.local/bin/uv" /opt/homebrew/bin/uv /usr/local/bin/uv; do
        [ -x "$uv" ] && printf 'uv %s\n' "$uv" && break
    done
    if [ "$system" = Darwin ]; then
        ask 1 xcode-select -p
        printf 'developer_tools %s\n' "$said"
        ask 1 launchctl managername
        printf 'launchd %s\n' "$said"
    fi
    section df
    show 2 df -Pk "${HOME:-/}"
}

# The whole node of a GPU is 50 KB because of one line that repeats the names of all statistics:
# the pattern is anchored, and what it lets through is under 1 KB.
gpu() {
    section ioreg-accel
    property 'PerformanceStatistics|model|gpu-core-count|IOClass|AGCInfo|IONameMatched|vendor-id' \
        -c IOAccelerator
}

clients() {
    section ioreg-clients
    property 'AppUsage|IOUserClientCreator' -c AGXDeviceUserClient
}

# `date` has no fractions of a second on macOS, perl is always there.
clock() {
    section time
    ask 2 perl -MTime::HiRes=time -e 'printf "%.3f\n", time'
    [ -n "$said" ] || said=$(date +%s)
    printf '%s\n' "$said"
}

swaps() {
    section proc-vmstat
    pick '^psw(pin|pout) ' 1 cat /proc/vmstat
    printf 'page_bytes %s\n' "$(getconf PAGESIZE)"
}

macos() {
    section sw_vers
    show 2 sw_vers
    section sysctl
    show 2 sysctl -i hw.model hw.memsize hw.pagesize hw.ncpu hw.nperflevels \
        hw.perflevel0.name hw.perflevel0.physicalcpu hw.perflevel1.name hw.perflevel1.physicalcpu \
        hw.perflevel2.name hw.perflevel2.physicalcpu hw.optional.arm64 hw.cputype \
        machdep.cpu.brand_string kern.osproductversion kern.osversion kern.hv_vmm_present \
        sysctl.proc_translated iogpu.wired_limit_mb kern.memorystatus_vm_pressure_level \
        kern.memorystatus_level vm.loadavg vm.swapusage kern.boottime
    clock
    section vm_stat
    show 2 vm_stat
    clients
    gpu
    sleep 0.5
    gpu
    section ioreg-hidsystem
    property HIDIdleTime -c IOHIDSystem
    section ioreg-root-console
    ask 2 ioreg -d 1 -w 0 -n Root
    printf '%s\n' "$said" | grep -E '"IOConsole(Users|Locked)" = '
    section pmset-batt
    show 2 pmset -g batt
    section pmset
    pick 'SleepDisabled|powermode|womp|^ *sleep ' 2 pmset -g
    section notifyutil
    show 2 notifyutil -g com.apple.system.thermalpressurelevel
    section pmset-therm
    show 2 pmset -g therm
    section ioreg-battery
    property 'PowerTelemetryData|Amperage|Voltage|ExternalConnected|BatteryInstalled|CycleCount' \
        -c AppleSmartBattery
    section ioreg-pmgr
    property voltage-states9 -n pmgr
    sleep 0.4
    gpu
    clients
    section vm_stat
    show 2 vm_stat
    clock
}

linux() {
    PATH=$PATH:/usr/local/bin:/usr/lib/wsl/lib:/usr/local/nvidia/bin
    section time
    show 1 cat /proc/uptime
    swaps
    section os-release
    show 1 cat /etc/os-release
    section boot_id
    show 1 cat /proc/sys/kernel/random/boot_id
    section cpuinfo
    pick '^(model name|Model)[^a-z]*:' 1 head -n 60 /proc/cpuinfo
    printf 'online: %s\n' "$(getconf _NPROCESSORS_ONLN)"
    section meminfo
    show 1 cat /proc/meminfo
    section cgroup
    for name in memory.max memory.current; do
        [ -r "/sys/fs/cgroup/$name" ] && printf '%s %s\n' "$name" "$(cat "/sys/fs/cgroup/$name")"
    done
    section proc-uptime
    show 1 cat /proc/uptime
    section loadavg
    show 1 cat /proc/loadavg
    section psi-memory
    show 1 cat /proc/pressure/memory
    section power_supply
    for supply in /sys/class/power_supply/*; do
        [ -r "$supply/type" ] || continue
        printf 'supply %s\n' "$(cat "$supply/type")"
        for name in scope online status capacity; do
            [ -r "$supply/$name" ] && printf '%s %s\n' "$name" "$(cat "$supply/$name")"
        done
    done
    section nvidia-smi
    if [ -e /proc/driver/nvidia/version ] || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; then
        show 4 nvidia-smi --format=csv \
            --query-gpu=name,driver_version,utilization.gpu,memory.total,memory.used,power.draw,temperature.gpu,clocks.sm,clocks.max.sm
    else
        echo 'no driver'
    fi
    sleep 0.5
    swaps
    section time
    show 1 cat /proc/uptime
}

main() {
    system=$(uname -s)
    section begin
    section uname
    uname -srvm
    case $system in
        Darwin) macos ;;
        Linux) linux ;;
    esac
    account
    section stopped
    printf '%s\n' "$stopped"
    section end
}

main
