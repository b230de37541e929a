// The derivation of EAL's arguments: a pure function, so that every machine can be tried on this one.
#include "runnel/runtime/eal.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace runnel::runtime {
namespace eal_test {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

HostFacts plain_host() {
    return {
        .available_memory_mb = 8000, .cpus = {0, 1}, .process = 42, .root = false, .runtime_directory = true};
}
HostFacts host_with_hugepages() {
    HostFacts host = plain_host();
    host.free_hugepage_mb = 2048;
    return host;
}

TEST(EalArguments, DoWithoutHugepagesRootAndDevicesOnAPlainMachine) {
    const auto arguments = eal_arguments({.memory_mb = 512}, plain_host());
    EXPECT_EQ(arguments.front(), "runnel");
    EXPECT_THAT(arguments, Contains("--no-huge"));
    EXPECT_THAT(arguments, Contains("--no-shconf"));
    EXPECT_THAT(arguments, Contains("--iova-mode=va"));
    EXPECT_THAT(arguments, Contains("--no-pci"));
    EXPECT_THAT(arguments, Contains("--no-telemetry"));
    EXPECT_THAT(arguments, Contains("512"));
}

TEST(EalArguments, UseHugepagesWhereEnoughAreFree) {
    const auto arguments = eal_arguments({.memory_mb = 2048}, host_with_hugepages());
    EXPECT_THAT(arguments, Not(Contains("--no-huge")));
    EXPECT_THAT(arguments, Contains("--in-memory"));
    EXPECT_THAT(eal_arguments({.memory_mb = 2049}, host_with_hugepages()), Contains("--no-huge"));
}

TEST(EalArguments, ObeyTheChoiceOfHugepages) {
    EXPECT_THAT(eal_arguments({.hugepages = Choice::no}, host_with_hugepages()), Contains("--no-huge"));
    EXPECT_THAT([] { (void)eal_arguments({.hugepages = Choice::yes}, plain_host()); },
                ThrowsMessage<std::invalid_argument>(
                    AllOf(HasSubstr("1024 MB are needed"), HasSubstr("0 MB are free"),
                          HasSubstr("echo 512 > /proc/sys/vm/nr_hugepages"))));
}

TEST(EalArguments, LeaveOutWhatIsMappedByItselfWithoutHugepages) {
    const EalOptions options{.memory_mb = 2048, .arrays_mb = 1500};
    EXPECT_THAT(eal_arguments(options, plain_host()), Contains("548"));
    EXPECT_THAT(eal_arguments(options, host_with_hugepages()), Contains("2048"));
    EXPECT_THAT(eal_arguments({.memory_mb = 2048, .arrays_mb = 2048}, plain_host()), Contains("64"));
    EXPECT_FALSE(uses_hugepages(options, plain_host()));
    EXPECT_TRUE(uses_hugepages(options, host_with_hugepages()));
}

TEST(EalArguments, PinEachWorkerAndLetTheControlThreadFloat) {
    HostFacts host = plain_host();
    host.cpus = {2, 3, 7};
    EXPECT_THAT(eal_arguments({.workers = 2}, host), Contains("--lcores=0@(2,3,7),1@2,2@3"));
    EXPECT_THAT(eal_arguments({.workers = 2, .cpus = {7, 2}}, host), Contains("--lcores=0@(2,3,7),1@7,2@2"));
}

TEST(EalArguments, ShareCpusWhereThereAreFewerThanWorkers) {
    HostFacts host = plain_host();
    host.cpus = {5};
    EXPECT_THAT(eal_arguments({.workers = 2}, host), Contains("--lcores=0@(5),1@5,2@5"));
}

TEST(EalArguments, NameACpuThatTheProcessMayNotUse) {
    EXPECT_THAT(
        [] {
            (void)eal_arguments({.cpus = {1, 9}}, plain_host());
        },
        ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("CPU 9"), HasSubstr("choose from 0,1"))));
}

TEST(EalArguments, NameANumberOutOfRange) {
    EXPECT_THAT([] { (void)eal_arguments({.workers = 0}, plain_host()); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("0 workers")));
    EXPECT_THAT([] { (void)eal_arguments({.memory_mb = 1}, plain_host()); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("memory of 1 MB")));
    EXPECT_THAT(
        [] { (void)eal_arguments({.memory_mb = 9000}, plain_host()); },
        ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("9000 MB"), HasSubstr("8000 MB available"))));
}

TEST(EalArguments, AllowThePciDevicesNamedAndNoOthers) {
    const auto arguments =
        eal_arguments({.pci_devices = {"0000:03:00.0", "0000:04:00.0"}}, host_with_hugepages());
    const auto first = std::ranges::find(arguments, "-a");
    ASSERT_NE(first, arguments.end());
    EXPECT_EQ(*(first + 1), "0000:03:00.0");
    EXPECT_EQ(std::ranges::count(arguments, "-a"), 2);
    EXPECT_THAT(arguments, Not(Contains("--no-pci")));
}

TEST(EalArguments, LeaveTheIovaModeToEalOnlyWherePhysicalAddressesMayBeHad) {
    HostFacts root = host_with_hugepages();
    root.root = true;
    const EalOptions with_device{.pci_devices = {"0000:03:00.0"}};
    EXPECT_THAT(eal_arguments(with_device, root), Not(Contains("--iova-mode=va")));
    EXPECT_THAT(eal_arguments(with_device, host_with_hugepages()), Contains("--iova-mode=va"));
    EXPECT_THAT(eal_arguments({}, root), Contains("--iova-mode=va"));
}

TEST(EalArguments, PutHugepagesIntoOneFileForVirtioUser) {
    const EalOptions options{.vdevs = {"net_virtio_user0,path=/tmp/vhost.sock"}};
    EXPECT_THAT(
        eal_arguments(options, host_with_hugepages()),
        AllOf(Contains("--single-file-segments"), Contains("--vdev=net_virtio_user0,path=/tmp/vhost.sock")));
    EXPECT_THAT(eal_arguments({.vdevs = {"net_null0"}}, host_with_hugepages()),
                Not(Contains("--single-file-segments")));
}

TEST(EalArguments, OpenTheTelemetrySocketOnlyWhereItHasAPlace) {
    EXPECT_THAT(eal_arguments({.telemetry = Choice::automatic}, host_with_hugepages()),
                Not(Contains("--no-telemetry")));
    HostFacts nowhere = host_with_hugepages();
    nowhere.runtime_directory = false;
    EXPECT_THAT(eal_arguments({.telemetry = Choice::automatic}, nowhere), Contains("--no-telemetry"));
    EXPECT_THAT([&] { (void)eal_arguments({.telemetry = Choice::yes}, nowhere); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("XDG_RUNTIME_DIR")));
}

TEST(EalArguments, OpenTheTelemetrySocketWithoutHugepagesToo) {
    HostFacts host = plain_host();
    host.runtime_directory = true;
    EXPECT_THAT(eal_arguments({.telemetry = Choice::automatic}, host),
                AllOf(Contains("--no-huge"), Not(Contains("--no-telemetry"))));
}

TEST(EalArguments, ShareMemoryWithSecondaryProcessesWhereAskedTo) {
    const EalOptions options{.memory_mb = 512, .secondaries = true, .file_prefix = "rte"};
    EXPECT_THAT(
        eal_arguments(options, host_with_hugepages()),
        AllOf(Contains("--file-prefix=rte"), Not(Contains("--in-memory")), Not(Contains("--no-shconf"))));
    EXPECT_THAT([&] { (void)eal_arguments(options, plain_host()); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("nr_hugepages")));
}

TEST(EalArguments, EndWithWhatTheUserAdds) {
    const auto arguments = eal_arguments({.extra = {"--log-level=8", "--no-hpet"}}, plain_host());
    EXPECT_EQ(arguments.back(), "--no-hpet");
    EXPECT_EQ(*(arguments.end() - 2), "--log-level=8");
}

TEST(EalArguments, KeepProcessesApart) {
    HostFacts other = plain_host();
    other.process = 43;
    EXPECT_NE(eal_arguments({}, plain_host()), eal_arguments({}, other));
}

// A hierarchy of control groups as the kernel shows it.
class ControlGroups : public testing::Test {
  protected:
    void write(const std::string& file, const std::string& text) {
        std::filesystem::create_directories((root / file).parent_path());
        std::ofstream{root / file} << text << "\n";
    }
    ~ControlGroups() override { std::filesystem::remove_all(root); }
    const std::filesystem::path root =
        std::filesystem::temp_directory_path() / ("runnel_groups_" + std::to_string(getpid()));
};

TEST_F(ControlGroups, TheTightestOfAllAroundTheProcessCounts) {
    write("memory.max", "max");
    write("memory.current", "5000");
    write("a/memory.max", "1000000");
    write("a/memory.current", "900000");
    write("a/memory.stat", "anon 700000\nfile 200000\ninactive_file 150000");
    write("a/b/memory.max", "2000000");
    write("a/b/memory.current", "100000");
    EXPECT_EQ(memory_left_in_groups("0::/a/b\n", root), 250'000U) << "files in the cache make room";
    EXPECT_EQ(memory_left_in_groups("0::/\n", root), std::nullopt);
    EXPECT_EQ(memory_left_in_groups("", root), std::nullopt);
    write("a/memory.current", "9000000");
    write("a/memory.stat", "anon 9000000");
    EXPECT_EQ(memory_left_in_groups("0::/a/b\n", root), 0U);
}

TEST_F(ControlGroups, OfVersionOneAreFoundByTheirController) {
    write("memory/memory.limit_in_bytes", "9223372036854771712");
    write("memory/memory.usage_in_bytes", "5000");
    write("memory/x/memory.limit_in_bytes", "300000");
    write("memory/x/memory.usage_in_bytes", "100000");
    write("memory/x/memory.stat", "inactive_file 1\ntotal_inactive_file 50000");
    EXPECT_EQ(memory_left_in_groups("8:pids:/y\n4:memory:/x\n0::/\n", root), 250'000U);
    EXPECT_EQ(memory_left_in_groups("4:memory:/\n", root), std::nullopt);
}

TEST(HostFacts, KnowTheCpusAndTheMemoryOfThisMachine) {
    const HostFacts host = host_facts();
    EXPECT_FALSE(host.cpus.empty());
    EXPECT_TRUE(std::ranges::is_sorted(host.cpus));
    EXPECT_GT(host.available_memory_mb, 0u);
    EXPECT_NE(host.process, 0u);
}

}  // namespace eal_test
}  // namespace runnel::runtime
