// The command `runnel`.
#include "command.hpp"

int main(int argc, char** argv) {
    return runnel::app::run_command(argc, argv);
}
