// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Tests.Torture;
using MemcgNative.Torture;

// One executable, two uses: `torture ...` is the command memcgnative starts by name; anything else is xunit's own entry point.
if (args is ["torture", "locked"]) return LockedTable.Show(Console.Out);
if (args is ["torture", "ledger", .. var models]) return LineLedgerCount.Show(models, Console.Out, Console.Error);
if (args is ["torture", .. var rest]) return TortureCommand.Run(rest, Console.Out, Console.Error);
if (args.Any(a => a is "-automated" or "@@")) return await Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args);
return await Xunit.MicrosoftTestingPlatform.TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions);
