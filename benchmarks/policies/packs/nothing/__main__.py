"""The least that a pack can be: it answers each call of the engine with an empty message."""

from concurrent import futures

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

ANSWERS = {
    "Handshake": analyzer_pb2.AnalyzerHandshakeResponse(),
    "ConfigureStack": analyzer_pb2.AnalyzerStackConfigureResponse(),
    "GetPluginInfo": plugin_pb2.PluginInfo(version="1.0.0"),
    "GetAnalyzerInfo": analyzer_pb2.AnalyzerInfo(
        name="nothing",
        version="1.0.0",
        supportsConfig=True,
        policies=[analyzer_pb2.PolicyInfo(name="nothing", enforcementLevel=analyzer_pb2.ADVISORY)],
    ),
    "Configure": empty_pb2.Empty(),
    "Remediate": analyzer_pb2.RemediateResponse(),
    "Analyze": analyzer_pb2.AnalyzeResponse(),
    "AnalyzeStack": analyzer_pb2.AnalyzeResponse(),
    "Cancel": empty_pb2.Empty(),
}


class Nothing(analyzer_pb2_grpc.AnalyzerServicer):
    def __getattribute__(self, name):
        return lambda request, context: ANSWERS[name]


server = grpc.server(futures.ThreadPoolExecutor(1))
analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Nothing(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
