// SPDX-License-Identifier: GPL-2.0-only
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// A command that changes the host runs as a child of itself: the parent measures nothing, waits, passes signals on and undoes what the
/// child could not, because no process can clean up after its own SIGKILL.
/// </summary>
internal static class Supervised
{
    /// <summary>SUPERVISOR:NONCE; set for the child.</summary>
    public const string Variable = "MEMCGNATIVE_SUPERVISED";

    /// <summary>The command's exit code; action runs in the child only.</summary>
    public static int Run(CommandContext context, Func<HostChanges, int> action)
    {
        if (!OperatingSystem.IsLinux()) throw new UsageException("only Linux has groups, pools and tracing to change", ofThisMachine: true);
        return context.Environment.Variable(Variable) is { Length: > 0 } text ? AsChild(context, text, action) : AsSupervisor(context);
    }

    [SupportedOSPlatform("linux")]
    private static int AsChild(CommandContext context, string text, Func<HostChanges, int> action)
    {
        string[] part = text.Split(':');
        if (part.Length != 2 || !int.TryParse(part[0], NumberStyles.None, CultureInfo.InvariantCulture, out int supervisor) || !HostDirectory.IsName(part[1]))
            throw new UsageException($"{Variable}='{text}' is not for users; unset it");
        ProcessControl.BecomeSupervised();
        if (ProcessControl.Parent(Environment.ProcessId) != supervisor) throw new UsageException($"{Variable}='{text}': process {supervisor} is not the parent; unset it");
        using var journal = new UndoJournal(supervisor, part[1]);
        using var host = new HostChanges(journal, context.Error);
        return action(host);
    }

    [SupportedOSPlatform("linux")]
    private static int AsSupervisor(CommandContext context)
    {
        UndoEarlier(context);
        string nonce = UndoJournal.NewNonce();
        ProcessControl.BecomeSubreaper();
        using Process child = Start(context.Arguments, nonce);
        using (context.Environment.Stop.Register(() => ProcessControl.Signal(child.Id, context.Environment.StopCode() == ExitCode.Terminated ? 15 : 2)))
            child.WaitForExit();
        List<string> refusals = UndoJournal.UndoFile(UndoJournal.PathOf(Environment.ProcessId, nonce), killDescendants: true);
        foreach (string refusal in refusals) context.Error.WriteLine($"memcgnative: {refusal}");
        if (child.ExitCode is 128 + 9)
            context.Error.WriteLine("memcgnative: the measuring process was killed (SIGKILL: by somebody, or out of memory); the host is as it was"
                + (refusals.Count > 0 ? " but for the above" : ""));
        return child.ExitCode == ExitCode.Done && refusals.Count > 0 ? ExitCode.Failed : child.ExitCode;
    }

    /// <summary>What runs left that ended together with their supervisor: a run that may change the host begins with it, `cleanup` does nothing else.</summary>
    [SupportedOSPlatform("linux")]
    private static void UndoEarlier(CommandContext context)
    {
        foreach (string path in UndoJournal.All())
        {
            List<UndoLine> lines;
            List<string> refusals;
            try
            {
                lines = UndoJournal.Read(path);
                if (lines.Count == 0 || UndoJournal.IsLive(path, lines)) continue;
                refusals = UndoJournal.UndoFile(path, killDescendants: false);
            }
            catch (FileNotFoundException)
            {
                continue; // its own run has just come to its end
            }
            string how = refusals.Count == 0 ? "done now" : "not all of it can be now";
            context.Error.WriteLine($"memcgnative: process {lines[0].Pid} was killed before it could put the host back; {how}");
            foreach (string refusal in refusals) context.Error.WriteLine($"memcgnative: {refusal}");
        }
    }

    private static Process Start(string[] arguments, string nonce)
    {
        ProcessStartInfo info = OwnProgram.Start();
        foreach (string argument in arguments) info.ArgumentList.Add(argument);
        info.Environment[Variable] = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}:{nonce}");
        try
        {
            return Process.Start(info)!;
        }
        catch (Win32Exception e)
        {
            throw new OsException("execve", e.NativeErrorCode, $"cannot start {info.FileName} as a child ({Errno.Name(e.NativeErrorCode)})");
        }
    }
}
