// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>
/// The operating system refused. One line: what was asked, the cause in words, and the command that mends
/// it where there is one. At set-up only; exit 3.
/// </summary>
public sealed class OsException : Exception
{
    /// <summary>Builds the line from its parts.</summary>
    /// <param name="call">The system call, or the file that was read.</param>
    /// <param name="errno">The errno, or on Windows the last error; 0 when the program refused before the system could.</param>
    /// <param name="cause">What was asked and why it fails, in words.</param>
    /// <param name="cure">The command or option that mends it; null when nothing does.</param>
    public OsException(string call, int errno, string cause, string? cure = null)
        : base(cure is null ? cause : $"{cause}. {cure}")
    {
        Call = call;
        ErrorNumber = errno;
        Cause = cause;
        Cure = cure;
    }

    /// <summary>The system call that failed.</summary>
    public string Call { get; }

    /// <summary>errno on Linux, the last error on Windows, 0 when the call was not made.</summary>
    public int ErrorNumber { get; }

    /// <summary>What was asked and why it fails.</summary>
    public string Cause { get; }

    /// <summary>What to do about it.</summary>
    public string? Cure { get; }
}
