// What the doctor says of machines that are made of files, and of neighbours in memory.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnel/port/mbuf_pool.hpp"

#include "command.hpp"
#include "doctor/checks.hpp"
#include "doctor/probe.hpp"
#include "doctor/stalls.hpp"

namespace runnel::app::doctor {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* card = "0000:03:00.0";
constexpr const char* card_folder = "sys/bus/pci/devices/0000:03:00.0";

// A folder with the files of a machine, gone with the test.
class Tree {
  public:
    Tree() {
        std::string name = (fs::temp_directory_path() / "runnel_doctor_XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder can be made for a test");
        root_ = name;
    }
    ~Tree() { fs::remove_all(root_); }
    Tree(const Tree&) = delete;
    Tree& operator=(const Tree&) = delete;

    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text << '\n';
    }
    void folder(const std::string& path) { fs::create_directories(root_ / path); }
    void link(const std::string& path, const std::string& target) {
        fs::create_directories((root_ / path).parent_path());
        fs::remove(root_ / path);
        fs::create_symlink(target, root_ / path);
    }
    void remove(const std::string& path) { fs::remove_all(root_ / path); }

    [[nodiscard]] const fs::path& root() const { return root_; }
    [[nodiscard]] Machine machine() const { return Machine(root_); }

  private:
    fs::path root_;
};

// Eight CPUs on two nodes, a card on node 1 that is bound to vfio-pci, an IOMMU, hugepages on both nodes:
// nothing to mend for two cores on CPUs 4 and 5.
void prepare(Tree& tree) {
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "2048");
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "2000");
    tree.write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0");
    tree.write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0");
    for (unsigned node = 0; node < 2; ++node) {
        const std::string folder = "sys/devices/system/node/node" + std::to_string(node);
        tree.write(folder + "/hugepages/hugepages-2048kB/nr_hugepages", "1024");
        tree.write(folder + "/hugepages/hugepages-2048kB/free_hugepages", "1000");
        tree.write(folder + "/cpulist", node == 0 ? "0-3" : "4-7");
    }
    tree.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
    tree.write("proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:   8388608 kB");
    tree.write("proc/self/status", "Name:\trunnel\nCpus_allowed:\tf0\nCpus_allowed_list:\t4-7");
    tree.write("proc/stat", "cpu  1000 0 1000 8000 0 0 0 10 0 0\ncpu0 1 2 3 4");
    tree.write("proc/cpuinfo", "vendor_id\t: GenuineIntel");
    tree.write("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1");
    tree.write("proc/net/route", "Iface\tDestination\tGateway\neth9\t00000000\t0100000A");
    tree.write("sys/devices/system/cpu/isolated", "4-7");
    for (unsigned cpu = 0; cpu < 8; ++cpu) {
        const std::string folder = "sys/devices/system/cpu/cpu" + std::to_string(cpu);
        tree.write(folder + "/cpufreq/scaling_governor", "performance");
        tree.write(folder + "/topology/thread_siblings_list", std::to_string(cpu));
    }
    tree.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc");
    tree.write("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm");
    tree.folder("sys/kernel/iommu_groups/7");
    const std::string folder = card_folder;
    tree.write(folder + "/class", "0x020000");
    tree.write(folder + "/numa_node", "1");
    tree.link(folder + "/driver", "../../../bus/pci/drivers/vfio-pci");
    tree.link(folder + "/iommu_group", "../../../kernel/iommu_groups/7");
    tree.write(folder + "/current_link_speed", "8.0 GT/s PCIe");
    tree.write(folder + "/max_link_speed", "8.0 GT/s PCIe");
    tree.write(folder + "/current_link_width", "8");
    tree.write(folder + "/max_link_width", "8");
    tree.write("dev/vfio/7", "");
    tree.write("dev/net/tun", "");
    tree.write("sys/class/net/eth1/operstate", "up");
    tree.write("sys/class/net/eth1/mtu", "9000");
}

Intent intent_of(const std::string& device = card, std::uint32_t cores = 2) {
    Intent intent;
    intent.port.device = device;
    intent.port.cores = cores;
    return intent;
}

class Doctor : public testing::Test {
  protected:
    Doctor() { prepare(tree); }

    [[nodiscard]] std::vector<Finding> examined(const Intent& intent = intent_of()) const {
        return examine(tree.machine(), intent);
    }
    // The one finding that is not good, and its topic.
    void expect(Grade grade, const std::string& topic, const std::vector<std::string>& said,
                const std::vector<std::string>& commands, const Intent& intent = intent_of()) {
        const std::vector<Finding> findings = examined(intent);
        unsigned found = 0;
        for (const Finding& one : findings) {
            if (one.grade == Grade::good) continue;
            if (one.topic != topic || one.grade != grade) {
                ADD_FAILURE() << "unexpected: " << to_text(std::array{one});
                continue;
            }
            ++found;
            for (const std::string& part : said) EXPECT_THAT(one.says, HasSubstr(part));
            for (const std::string& command : commands) EXPECT_THAT(one.mend, Contains(HasSubstr(command)));
        }
        EXPECT_EQ(found, 1U) << to_text(findings);
        EXPECT_EQ(ready(findings), grade != Grade::hinders);
    }

    Tree tree;
};

TEST_F(Doctor, FindsNothingToMendWhereNothingIs) {
    const std::vector<Finding> findings = examined();
    EXPECT_THAT(findings, Each(Field(&Finding::grade, Grade::good))) << to_text(findings);
    for (const char* topic :
         {"hugepages", "memory", "IOMMU", "driver", "NUMA", "CPUs", "isolation", "governor", "clock"})
        EXPECT_THAT(findings, Contains(Field(&Finding::topic, topic)));
    EXPECT_THAT(to_text(findings), HasSubstr("2048 of 2.0 MiB, 2000 free"));
}

TEST_F(Doctor, TellsHowHugepagesAreReserved) {
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0");
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0");
    expect(Grade::advice, "hugepages", {"none are reserved"},
           {"echo 1024 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"});
    Intent forced = intent_of();
    forced.port.huge = runtime::Choice::yes;
    expect(Grade::hinders, "hugepages", {"--huge yes"}, {"echo 1024"}, forced);
}

TEST_F(Doctor, TellsThatHugepagesAreTakenOrOnAnotherNode) {
    tree.write("sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "0");
    expect(Grade::advice, "hugepages", {"NUMA node 1"},
           {"echo 1024 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"});
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0");
    expect(Grade::advice, "hugepages", {"2048 of 2.0 MiB, 0 free"}, {"rm -f /dev/hugepages/rtemap_*"});
}

TEST_F(Doctor, TellsThatTransparentHugepagesAreNeverGiven) {
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0");
    tree.write("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]");
    EXPECT_THAT(examined(), Contains(AllOf(Field(&Finding::topic, "transparent hugepages"),
                                           Field(&Finding::grade, Grade::advice))));
}

TEST_F(Doctor, TellsThatMemoryIsShort) {
    tree.write("proc/meminfo", "MemAvailable:   204800 kB");
    expect(Grade::advice, "memory", {"200 MiB are available"}, {"ps "});
}

TEST_F(Doctor, NamesACardThatIsNotThereOrNone) {
    expect(Grade::hinders, "card", {"no PCI device 0000:09:00.0"}, {"lspci"}, intent_of("09:00.0,some=1"));
    tree.write(std::string{card_folder} + "/class", "0x010802");
    expect(Grade::hinders, "card", {"no network card", "0x010802"}, {"lspci"});
}

TEST_F(Doctor, TellsHowACardOfTheKernelsIsBound) {
    tree.link(std::string{card_folder} + "/driver", "../../../bus/pci/drivers/ixgbe");
    tree.folder(std::string{card_folder} + "/net/eth9");
    expect(
        Grade::hinders, "driver", {"ixgbe", "eth9", "cuts this machine off"},
        {"ip link set dev eth9 down", "modprobe vfio-pci", "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0"});
    tree.remove(std::string{card_folder} + "/net");
    tree.folder(std::string{card_folder} + "/virtio2/net/eth9");
    expect(Grade::hinders, "driver", {"eth9", "cuts this machine off"}, {});
    tree.remove(std::string{card_folder} + "/virtio2");
    tree.remove(std::string{card_folder} + "/driver");
    expect(Grade::hinders, "driver", {"bound to none"}, {"modprobe vfio-pci"});
}

TEST_F(Doctor, LeavesACardThatIsSharedWithTheKernelWhereItIs) {
    tree.link(std::string{card_folder} + "/driver", "../../../bus/pci/drivers/mlx5_core");
    tree.remove("sys/kernel/iommu_groups/7");
    const std::vector<Finding> findings = examined();
    EXPECT_TRUE(ready(findings)) << to_text(findings);
}

TEST_F(Doctor, NamesWhoElseIsInTheIommuGroup) {
    const std::string other = "sys/bus/pci/devices/0000:03:00.1";
    tree.remove(std::string{card_folder} + "/iommu_group");
    tree.folder(std::string{card_folder} + "/iommu_group/devices/0000:03:00.1");
    tree.folder(std::string{card_folder} + "/iommu_group/devices/0000:03:00.0");
    tree.link(other + "/driver", "../../../bus/pci/drivers/ixgbe");
    expect(Grade::hinders, "IOMMU group", {"0000:03:00.1 (ixgbe)"},
           {"dpdk-devbind.py --bind=vfio-pci 0000:03:00.1"});
    tree.link(other + "/driver", "../../../bus/pci/drivers/pcieport");
    EXPECT_TRUE(ready(examined()));
}

TEST_F(Doctor, TellsWhatToDoWithoutAnIommu) {
    tree.remove("sys/kernel/iommu_groups/7");
    expect(Grade::hinders, "IOMMU", {"off"}, {"intel_iommu=on", "enable_unsafe_noiommu_mode"});
    tree.write("proc/cmdline", "intel_iommu=on");
    expect(Grade::hinders, "IOMMU", {"VT-d in the firmware"}, {"enable_unsafe_noiommu_mode"});
    tree.write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
    expect(Grade::advice, "IOMMU", {"told to do without"}, {});
    EXPECT_TRUE(ready(examined(intent_of("net_tap0,iface=rn0"))));
}

TEST_F(Doctor, TellsThatTheLinkOfACardIsSlow) {
    tree.write(std::string{card_folder} + "/current_link_width", "4");
    expect(Grade::advice, "PCIe", {"8.0 GT/s PCIe, x4", "x8"}, {"lspci -vv -s 0000:03:00.0"});
}

TEST_F(Doctor, TellsThatCardAndCoresAreOnDifferentNodes) {
    tree.write(std::string{card_folder} + "/numa_node", "0");
    expect(Grade::advice, "NUMA", {"node 0", "4-5"}, {"taskset -c 0-3"});
}

TEST_F(Doctor, TellsWhatIsWrongWithAnInterfaceOfTheKernel) {
    const std::string device = "net_af_packet0,iface=eth1,qpairs=1";
    Intent intent = intent_of(device);
    intent.port.mtu = 9000;
    EXPECT_TRUE(ready(examined(intent)));
    intent.port.mtu = 9216;
    expect(Grade::hinders, "MTU", {"9000", "9216"}, {"ip link set dev eth1 mtu 9216"}, intent);
    tree.write("sys/class/net/eth1/operstate", "down");
    expect(Grade::hinders, "interface", {"eth1 is down"}, {"ip link set dev eth1 up"}, intent_of(device));
    expect(Grade::hinders, "interface", {"there is no eth2"}, {"ip -brief link"},
           intent_of("net_af_packet0,iface=eth2"));
    tree.remove("dev/net/tun");
    expect(Grade::hinders, "tap", {"/dev/net/tun"}, {"modprobe tun"}, intent_of("net_tap0,iface=rn0"));
}

TEST_F(Doctor, TellsThatCoresAreTooManyOrShareOne) {
    expect(Grade::advice, "CPUs", {"4 of them", "6 cores"}, {"--cores 4"}, intent_of(card, 6));
    for (unsigned cpu = 4; cpu < 8; ++cpu)
        tree.write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
                   cpu < 6 ? "4-5" : "6-7");
    expect(Grade::advice, "CPUs", {"CPU 5 shares its core"}, {"taskset -c 4,6 "});
}

TEST_F(Doctor, TellsThatTheControlGroupOrTheHostTakesTime) {
    tree.write("sys/fs/cgroup/cpu.max", "max 100000");
    EXPECT_THAT(examined(), Each(Field(&Finding::grade, Grade::good)));
    tree.write("sys/fs/cgroup/cpu.max", "150000 100000");
    expect(Grade::advice, "CPUs", {"1.5 of a CPU", "2 polling cores"}, {"echo max"});
    tree.remove("sys/fs/cgroup/cpu.max");
    tree.write("proc/stat", "cpu  1000 0 1000 7000 0 0 0 1000 0 0");
    expect(Grade::advice, "CPUs", {"10.0 %"}, {"vmstat"});
}

TEST_F(Doctor, TellsHowCpusAreIsolated) {
    tree.write("sys/devices/system/cpu/isolated", "");
    expect(Grade::advice, "isolation", {"no CPU is isolated"},
           {"isolcpus=managed_irq,domain,6-7 nohz_full=6-7 rcu_nocbs=6-7", "taskset -c 6-7"});
    tree.write("sys/devices/system/cpu/isolated", "6-7");
    expect(Grade::advice, "isolation", {"CPU 6-7 is isolated", "run on 4-5"}, {"taskset -c 6-7"});
    expect(Grade::advice, "isolation", {"none can be spared"}, {}, intent_of(card, 4));
}

TEST_F(Doctor, TellsThatTheClockIsNotFixedOrNotTrusted) {
    tree.write("sys/devices/system/cpu/cpu5/cpufreq/scaling_governor", "powersave");
    expect(Grade::advice, "governor", {"CPU 5", "powersave"},
           {"echo performance > /sys/devices/system/cpu/cpu5/cpufreq/scaling_governor"});
    tree.write("sys/devices/system/cpu/cpu5/cpufreq/scaling_governor", "performance");
    tree.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet");
    expect(Grade::advice, "clock", {"hpet"},
           {"echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource"});
}

TEST_F(Doctor, ChecksTheArithmeticOfAddresses) {
    Intent intent = intent_of();
    intent.port.address = parse_interface_address("198.18.0.1/24");
    EXPECT_TRUE(ready(examined(intent)));
    intent.port.addresses = 300;
    expect(Grade::hinders, "addresses", {"299", "/24"}, {}, intent);
    intent.port.addresses = 1;
    intent.port.gateway = parse_address("198.18.1.1");
    expect(Grade::hinders, "gateway", {"198.18.1.1", "198.18.0.1/24"}, {"--gateway 198.18.0.2"}, intent);
    intent.port.gateway.reset();
    intent.target = parse_socket_address("198.19.0.1:80");
    expect(Grade::hinders, "target", {"198.19.0.1", "no gateway"}, {"--gateway"}, intent);
    intent.target = parse_socket_address("[2001:db8::1]:80");
    expect(Grade::hinders, "target", {"different families"}, {}, intent);
    intent.port.gateway = parse_address("198.18.0.254");
    intent.target = parse_socket_address("8.8.8.8:80");
    expect(Grade::advice, "target", {"8.8.8.8"}, {"--allow-target"}, intent);
    intent.target.reset();
    intent.traffic.recipe = load::Recipe::fin;
    intent.traffic.rate = 200'000;
    intent.traffic.tcp.time_wait_duration = 60s;
    expect(Grade::hinders, "ports", {"addresses are needed"}, {}, intent);
}

TEST_F(Doctor, SaysAllAsADocument) {
    tree.remove(std::string{card_folder} + "/driver");
    const auto document = to_json(examined());
    EXPECT_EQ(document["schema"], "runnel.doctor/1");
    EXPECT_EQ(document["ready"], false);
    bool found = false;
    for (const auto& one : document["findings"])
        if (one["topic"] == "driver") {
            found = true;
            EXPECT_EQ(one["grade"], "hinders");
            EXPECT_EQ(one["mend"].size(), 2U);
        }
    EXPECT_TRUE(found);
}

TEST_F(Doctor, TheCommandEndsByWhatHinders) {
    const std::string root = tree.root().string();
    const auto status = [&](std::vector<const char*> words) {
        words.insert(words.begin(), {"runnel", "doctor", "--root", root.c_str()});
        testing::internal::CaptureStdout();
        const int ended = run_command(static_cast<int>(words.size()), words.data());
        std::fflush(stdout);
        return std::pair{ended, testing::internal::GetCapturedStdout()};
    };
    EXPECT_THAT(status({"--port", card}), testing::Pair(0, HasSubstr("0 hinder")));
    EXPECT_THAT(status({"--port", "0000:04:00.0", "--json", "-"}),
                testing::Pair(1, HasSubstr("\"ready\": false")));
}

TEST(DoctorMachine, ReadsSetsOfCpus) {
    EXPECT_THAT(parse_cpu_list("0-2,5,7-8"), ElementsAre(0, 1, 2, 5, 7, 8));
    EXPECT_THAT(parse_cpu_list(""), IsEmpty());
    EXPECT_THAT(parse_cpu_list("x,3,-,4-"), ElementsAre(3));
    EXPECT_EQ(cpu_list({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
    EXPECT_EQ(cpu_list({}), "");
}

TEST(DoctorStalls, AreTheGapsBetweenTwoLooksAtTheClock) {
    Instant time{};
    unsigned looks = 0;
    const auto clock = [&] {
        time += ++looks % 100 == 0 ? 2ms : 1us;
        return time;
    };
    const Stalls stalls = watch_stalls(clock, 20ms, 50us);
    EXPECT_EQ(stalls.longest, 2ms);
    EXPECT_EQ(stalls.count, 10U);
    EXPECT_EQ(stalls.lost, 20ms);
    EXPECT_GE(stalls.watched, 20ms);
    EXPECT_EQ(watch_stalls([&] { return time += 1us; }, 20ms, 50us).count, 0U);
}

// A wire whose other end is a stack in memory; nobody hears what is sent where there is none.
class PeerWire final : public port::Wire {
  public:
    PeerWire(std::unique_ptr<Stack> peer, const Instant& now) : peer_(std::move(peer)), now_(now) {}
    std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        if (!peer_) return 0;
        peer_->advance(now_);
        return peer_->transmit(out);
    }
    std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        sent += frames.size();
        if (peer_) {
            peer_->receive(frames, now_);
        } else {
            rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(frames.size()));
        }
        return frames.size();
    }
    std::size_t sent = 0;

  private:
    std::unique_ptr<Stack> peer_;
    const Instant& now_;
};

class Deaf final : public tcp::Handler {
  public:
    tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept override { return tcp::Ownership::returned; }
};

class DoctorProbe : public testing::TestWithParam<bool> {
  protected:
    [[nodiscard]] IpAddress address(std::uint32_t host) const {
        return nth_after(GetParam() ? IpAddress{Ipv6Address::of(0x2001'0002'0000'0001, 0)}
                                    : IpAddress{Ipv4Address{198, 18, 0, 0}},
                         host);
    }
    [[nodiscard]] StackConfig config(std::uint32_t host) const {
        StackConfig made;
        ip::InterfaceConfig interface;
        interface.mac = {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(host)}};
        if (GetParam()) {
            interface.ipv6.push_back({.address = address(host).v6(), .prefix_length = 64});
        } else {
            interface.address = address(host).v4();
            interface.prefix_length = 24;
        }
        made.ip.interfaces.push_back(interface);
        made.tcp.connections = made.tcp.half_open = 64;
        made.tcp.time_wait = 1024;
        made.secret = std::array<std::uint64_t, 2>{host, 7};
        return made;
    }
    static rte_mempool* pool() {
        static const port::MbufPool mbufs = port::make_mbuf_pool({.mbufs = 4095, .lcore_cache = 0});
        return mbufs.get();
    }
    ProbeAnswer ask(PeerWire& wire, std::uint16_t port, std::uint32_t host = 2) {
        return probe(
            wire, config(1), pool(), {address(host), port}, [this] { return now += 100us; }, 10s);
    }
    std::unique_ptr<Stack> peer(std::uint16_t listens) {
        auto stack = std::make_unique<Stack>(config(2), pool());
        if (listens != 0) stack->listen({.port = listens, .handler = &deaf});
        return stack;
    }

    Instant now{1s};
    Deaf deaf;
};

TEST_P(DoctorProbe, ServerThatAnswersIsFoundWithItsLinkAddress) {
    PeerWire wire(peer(80), now);
    const ProbeAnswer answer = ask(wire, 80);
    EXPECT_TRUE(answer.established);
    EXPECT_EQ(answer.neighbour, (MacAddress{{2, 0, 0, 0, 0, 2}}));
    const auto findings = describe(answer, {address(2), 80}, address(2));
    EXPECT_TRUE(ready(findings)) << to_text(findings);
    EXPECT_THAT(to_text(findings), AllOf(HasSubstr("02:00:00:00:00:02"), HasSubstr("completes a handshake")));
}

TEST_P(DoctorProbe, HostWithoutAServerRefuses) {
    PeerWire wire(peer(80), now);
    const ProbeAnswer answer = ask(wire, 81);
    EXPECT_TRUE(answer.refused && !answer.established);
    EXPECT_THAT(to_text(describe(answer, {address(2), 81}, address(2))),
                AllOf(HasSubstr("hinders"), HasSubstr("refuses")));
}

TEST_P(DoctorProbe, NeighbourThatIsAskedForAloneGetsNoSyn) {
    PeerWire wire(peer(0), now);
    const ProbeAnswer answer = ask(wire, 0);
    EXPECT_EQ(answer.neighbour, (MacAddress{{2, 0, 0, 0, 0, 2}}));
    EXPECT_FALSE(answer.established || answer.refused);
    EXPECT_LE(wire.sent, 4U);  // the request, and what IPv6 announces of itself
    EXPECT_TRUE(ready(describe(answer, {address(2), 0}, address(2))));
}

TEST_P(DoctorProbe, SilenceIsNamed) {
    PeerWire wire(nullptr, now);
    const ProbeAnswer answer = ask(wire, 80);
    EXPECT_FALSE(answer.neighbour || answer.established || answer.refused);
    EXPECT_THAT(to_text(describe(answer, {address(2), 80}, address(2))),
                AllOf(HasSubstr("hinders"), HasSubstr("nobody answers for " + to_string(address(2)))));
    EXPECT_LT(now, Instant{12s});
}

TEST_P(DoctorProbe, TargetThatNoRouteLeadsToIsNamed) {
    PeerWire wire(nullptr, now);
    const SocketAddress server{GetParam() ? parse_address("2001:db8::1") : parse_address("192.0.2.1"), 80};
    const ProbeAnswer answer = probe(
        wire, config(1), pool(), server, [this] { return now += 100us; }, 10s);
    EXPECT_TRUE(answer.no_route);
    EXPECT_THAT(to_text(describe(answer, server, server.address)), HasSubstr("no route"));
}

TEST_P(DoctorProbe, AddressThatAnotherHostHasIsNamed) {
    PeerWire wire(peer(80), now);
    StackConfig own = config(1);
    own.ip.dad_probes = own.ip.arp_probes = 1;
    if (GetParam())
        own.ip.interfaces[0].ipv6[0].address = address(2).v6();
    else
        own.ip.interfaces[0].address = address(2).v4();
    const ProbeAnswer answer = probe(
        wire, own, pool(), {address(3), 80}, [this] { return now += 100us; }, 10s);
    ASSERT_TRUE(answer.duplicate);
    EXPECT_THAT(
        to_text(describe(answer, {address(3), 80}, address(3))),
        AllOf(HasSubstr("hinders"), HasSubstr(to_string(address(2)) + " is in use by 02:00:00:00:00:02")));
}

TEST_P(DoctorProbe, AddressIsProbedForBeforeTheServerIsAsked) {
    PeerWire wire(peer(80), now);
    StackConfig own = config(1);
    own.ip.dad_probes = own.ip.arp_probes = 1;
    const ProbeAnswer answer = probe(
        wire, own, pool(), {address(2), 80}, [this] { return now += 100us; }, 10s);
    EXPECT_TRUE(answer.established);
}

INSTANTIATE_TEST_SUITE_P(Families, DoctorProbe, testing::Bool(),
                         [](const auto& family) { return family.param ? "Ipv6" : "Ipv4"; });

}  // namespace
}  // namespace runnel::app::doctor
