// SPDX-License-Identifier: GPL-2.0-only
#if !TERRAFX
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace MemcgNative.Native.Win32;

/// <summary>What GetLogicalProcessorInformationEx is asked for and answers with. Source: winnt.h.</summary>
internal enum LOGICAL_PROCESSOR_RELATIONSHIP
{
    /// <summary>CPUs of a core.</summary>
    RelationProcessorCore = 0,
    /// <summary>CPUs of a node, in its primary group.</summary>
    RelationNumaNode = 1,
    /// <summary>CPUs of a cache.</summary>
    RelationCache = 2,
    /// <summary>CPUs of a package.</summary>
    RelationProcessorPackage = 3,
    /// <summary>The processor groups.</summary>
    RelationGroup = 4,
    /// <summary>CPUs of a die.</summary>
    RelationProcessorDie = 5,
    /// <summary>CPUs of a node, in all its groups (Windows Server 2022, Windows 11).</summary>
    RelationNumaNodeEx = 6,
    /// <summary>CPUs of a module.</summary>
    RelationProcessorModule = 7,
    /// <summary>Everything.</summary>
    RelationAll = 0xffff,
}

/// <summary>Opaque: records of variable size that <see cref="WindowsTopology"/> reads as bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX
{
    /// <summary>Kind of record.</summary>
    public LOGICAL_PROCESSOR_RELATIONSHIP Relationship;
    /// <summary>Bytes of this record.</summary>
    public uint Size;
}

/// <summary>kernel32: what the topology is read with.</summary>
internal static unsafe partial class Windows
{
    /// <summary>Fills a buffer with records; 0 and ERROR_INSUFFICIENT_BUFFER when it is too small.</summary>
    [SupportedOSPlatform("windows")]
    [LibraryImport("kernel32")]
    public static partial int GetLogicalProcessorInformationEx(LOGICAL_PROCESSOR_RELATIONSHIP RelationshipType,
        SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX* Buffer, uint* ReturnedLength);
}
#endif
