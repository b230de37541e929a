// The doctor's look at the CPUs that the cores would be pinned to: how many, who else runs there, how fast.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <sstream>

#include <fmt/format.h>

#include "doctor/checks.hpp"

namespace runnel::app::doctor {
namespace {

// Of lists that share no order: what of `cpus` is not in `others`.
std::vector<unsigned> without(const std::vector<unsigned>& cpus, const std::vector<unsigned>& others) {
    std::vector<unsigned> rest;
    std::ranges::copy_if(cpus, std::back_inserter(rest),
                         [&](unsigned cpu) { return std::ranges::find(others, cpu) == others.end(); });
    return rest;
}

// Share of its time that a virtual machine's CPUs had to wait for others, since the start.
double stolen(const Machine& machine) {
    std::istringstream line(machine.field("proc/stat", "cpu "));
    double sum = 0, steal = 0, value = 0;
    for (unsigned column = 0; column < 8 && line >> value; ++column) {
        sum += value;
        if (column == 7) steal = value;
    }
    return sum == 0 ? 0 : steal / sum;
}

// CPUs that the control group gives; 0 where it gives all.
double quota(const Machine& machine) {
    std::istringstream both(machine.text("sys/fs/cgroup/cpu.max"));
    double time = 0, period = 0;
    if (both >> time >> period && period > 0) return time / period;  // "max 100000" is no number
    const auto old_time = machine.number("sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
               old_period = machine.number("sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (old_time && old_period && *old_time > 0 && *old_period > 0)
        return static_cast<double>(*old_time) / static_cast<double>(*old_period);
    return 0;
}

}  // namespace

std::vector<unsigned> cpus_of(const Machine& machine, const Intent& intent) {
    std::vector<unsigned> cpus = machine.cpus();
    if (cpus.size() > intent.port.cores) cpus.resize(intent.port.cores);
    return cpus;
}

void check_cpus(const Machine& machine, const Intent& intent, std::vector<Finding>& findings) {
    const std::vector<unsigned> all = machine.cpus();
    const unsigned cores = intent.port.cores;
    if (all.empty()) return;
    const std::vector<unsigned> cpus = cpus_of(machine, intent);
    if (cores > all.size()) {
        findings.push_back(
            {Grade::advice,
             "CPUs",
             fmt::format("this process may run on {} of them, and {} cores are asked for: their loops "
                         "take turns",
                         all.size(), cores),
             {fmt::format("runnel ... --cores {}", all.size())}});
    } else {
        findings.push_back({Grade::good,
                            "CPUs",
                            fmt::format("{}; the cores would be CPU {}", all.size(), cpu_list(cpus)),
                            {}});
    }
    if (const double given = quota(machine); given > 0 && given < cores)
        findings.push_back(
            {Grade::advice,
             "CPUs",
             fmt::format("the control group gives {:.3g} of a CPU's time, and {} polling core{} take{} "
                         "{}: they would be stopped again and again",
                         given, cores, cores == 1 ? "" : "s", cores == 1 ? "s" : "", cores),
             {"echo max > /sys/fs/cgroup/cpu.max"}});
    std::vector<unsigned> doubled;
    for (const unsigned cpu : cpus)
        for (const unsigned twin : parse_cpu_list(machine.text(
                 fmt::format("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu))))
            if (twin < cpu && std::ranges::find(cpus, twin) != cpus.end()) doubled.push_back(cpu);
    if (!doubled.empty()) {
        std::vector<unsigned> singles;
        for (const unsigned cpu : all) {
            const auto twins = parse_cpu_list(
                machine.text(fmt::format("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu)));
            if (twins.empty() || twins.front() == cpu) singles.push_back(cpu);
        }
        findings.push_back({Grade::advice,
                            "CPUs",
                            fmt::format("CPU {} shares its core with another of those that would be taken",
                                        cpu_list(doubled)),
                            {fmt::format("taskset -c {} runnel ...", cpu_list(singles))}});
    }
    if (const double share = stolen(machine); share > 0.01)
        findings.push_back(
            {Grade::advice,
             "CPUs",
             fmt::format("this virtual machine has waited {:.1f} % of its time for others: what is "
                         "measured here changes with what they do",
                         100 * share),
             {"vmstat 1 5   # column st"}});
}

void check_isolation(const Machine& machine, const Intent& intent, std::vector<Finding>& findings) {
    const std::vector<unsigned> isolated = parse_cpu_list(machine.text("sys/devices/system/cpu/isolated"));
    const std::vector<unsigned> cpus = cpus_of(machine, intent);
    if (cpus.empty()) return;
    const std::vector<unsigned> open = without(cpus, isolated);
    if (open.empty()) {
        findings.push_back({Grade::good, "isolation", fmt::format("CPU {} is isolated", cpu_list(cpus)), {}});
        return;
    }
    if (isolated.size() >= cpus.size()) {
        findings.push_back({Grade::advice,
                            "isolation",
                            fmt::format("CPU {} is isolated, but the cores would run on {}",
                                        cpu_list(isolated), cpu_list(open)),
                            {fmt::format("taskset -c {} runnel ...", cpu_list(isolated))}});
        return;
    }
    // The last ones: the first serve most interrupts.
    std::vector<unsigned> best = machine.cpus();
    if (best.size() <= cpus.size()) {
        findings.push_back(
            {Grade::advice,
             "isolation",
             "no CPU is isolated, and none can be spared: the kernel runs others on the cores too",
             {}});
        return;
    }
    best.erase(best.begin(), best.end() - static_cast<std::ptrdiff_t>(cpus.size()));
    const std::string list = cpu_list(best);
    findings.push_back(
        {Grade::advice,
         "isolation",
         "no CPU is isolated: the kernel runs others on the cores too",
         {fmt::format("sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus=managed_irq,domain,{0} nohz_full={0} "
                      "rcu_nocbs={0} /' /etc/default/grub && update-grub   # then reboot, and:",
                      list),
          fmt::format("taskset -c {} runnel ...", list)}});
}

void check_governor(const Machine& machine, const Intent& intent, std::vector<Finding>& findings) {
    std::vector<unsigned> slow;
    std::string governor;
    bool any = false;
    for (const unsigned cpu : cpus_of(machine, intent)) {
        const std::string chosen =
            machine.text(fmt::format("sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cpu));
        if (chosen.empty()) continue;
        any = true;
        if (chosen == "performance") continue;
        governor = chosen;
        slow.push_back(cpu);
    }
    if (!slow.empty()) {
        Finding finding{Grade::advice,
                        "governor",
                        fmt::format("CPU {} changes its clock by \"{}\"", cpu_list(slow), governor),
                        {}};
        for (const unsigned cpu : slow)
            finding.mend.push_back(fmt::format(
                "echo performance > /sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cpu));
        findings.push_back(std::move(finding));
    } else {
        findings.push_back(
            {Grade::good, "governor", any ? "performance" : "the clock is not this machine's to set", {}});
    }
}

void check_clock(const Machine& machine, const Intent&, std::vector<Finding>& findings) {
    const std::string folder = "sys/devices/system/clocksource/clocksource0/";
    const std::string source = machine.text(folder + "current_clocksource");
    if (source.empty()) return;
    // An architecture without a TSC has another register that is as good.
    if (source == "tsc" || source.starts_with("arch_sys")) {
        findings.push_back({Grade::good, "clock", source, {}});
        return;
    }
    const bool offered = machine.text(folder + "available_clocksource").find("tsc") != std::string::npos;
    Finding finding{
        Grade::advice,
        "clock",
        fmt::format(
            "the kernel keeps time by {}: it does not trust the cycle counter, by which latencies are "
            "measured",
            source),
        {}};
    if (offered) finding.mend.push_back("echo tsc > /" + folder + "current_clocksource");
    finding.mend.emplace_back("dmesg | grep -i -e tsc -e clocksource");
    findings.push_back(std::move(finding));
}

}  // namespace runnel::app::doctor
